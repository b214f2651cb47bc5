"""What people are told of a request is what would become of it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico_core.candidates import Candidate, Pool
from portico_core.policy import CACHE_KEY, LEAST, ORDER, WEIGHTED, Policy
from portico_core.pools.choice import choose
from portico_core.pools.explain import explain
from portico_core.standing import Standing
from tests.core.test_balance import members
from tests.support.core import params

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.just("b"),
        st.text("abcdef", min_size=1, max_size=2),
        weight=st.sampled_from([0.0, 1.0, 5.0]),
        priority=st.integers(0, 1),
        features=st.none() | st.just(frozenset[str]()) | st.just(frozenset({"reasoning"})),
        tags=st.sampled_from([frozenset[str](), frozenset({"eu"})]),
    ),
    min_size=1,
    max_size=5,
).map(lambda each: tuple(sorted(each, key=lambda candidate: candidate.priority)))
POOLS = st.lists(
    st.builds(
        Pool,
        CANDIDATES,
        st.builds(
            Policy, balance=st.sampled_from([WEIGHTED, LEAST]), affinity=st.sampled_from([None, CACHE_KEY])
        )
        | st.just(Policy(balance=ORDER)),
    ),
    min_size=1,
    max_size=3,
)


@given(
    POOLS,
    st.sampled_from([{}, {"reasoning_effort": "low"}]),
    st.sampled_from(["", "k"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_the_turns_that_are_told_are_those_that_are_taken(
    pools: list[Pool], needs: dict[str, str], key: str, tagged: bool, seed: int
) -> None:
    """While nobody is busy. The same are left out, and the refusal is the same."""
    asked = params(**needs, prompt_cache_key=key)
    headers = [Header(name="x-portico-route", value=b"eu")] if tagged else []
    told = explain(pools, "m", asked, headers)
    turns = {str(row.candidate): row.turn for row in told.rows if row.turn is not None}
    assert len(turns) == sum(row.turn is not None for row in told.rows)
    if told.refusal is not None:
        assert not turns
        with pytest.raises(GatewayError) as raised:
            choose(pools, "m", asked, headers, lambda _: Standing(), random.Random(seed).random)
        assert (str(raised.value), raised.value.param) == (str(told.refusal), told.refusal.param)
        return
    chosen = choose(pools, "m", asked, headers, lambda _: Standing(), random.Random(seed).random)
    assert sorted(turns) == sorted(map(str, chosen))
    taken = [turns[str(each)] for each in chosen]
    assert taken == sorted(taken)


def test_the_shares_of_a_turn_are_a_whole() -> None:
    """By weight; those that are left out take none of it."""
    pool = Pool(
        (*members([90, 10]), Candidate("b", "no", weight=50, tags=frozenset())), Policy(balance=WEIGHTED)
    )
    rows = explain([pool], "m", params(), []).rows
    assert [round(row.share, 2) for row in rows] == [0.6, 0.07, 0.33]
    blind = Candidate("b", "no", weight=50, features=frozenset())
    rows = explain(
        [Pool((*members([90, 10]), blind), pool.policy)], "m", params(reasoning_effort="high"), []
    ).rows
    assert [(row.turn, round(row.share, 2), row.why) for row in rows] == [
        (1, 0.9, "by weight"),
        (1, 0.1, "by weight"),
        (None, 0.0, "takes no reasoning"),
    ]


def test_who_stands_there_twice_is_told_once_with_both_shares() -> None:
    """As it is asked once."""
    one, other = members([45, 10])
    rows = explain([Pool((one, other, one), Policy(balance=WEIGHTED))], "m", params(), []).rows
    assert [(str(row.candidate), row.turn, round(row.share, 2), row.why) for row in rows] == [
        (str(one), 1, 0.9, "by weight"),
        (str(other), 1, 0.1, "by weight"),
        (str(one), None, 0.0, "is tried already"),
    ]
