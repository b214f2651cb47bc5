"""Calls with something in common meet at a candidate, also when others come and go, unless it is busy."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_core.candidates import Candidate
from portico_core.pools.affinity import bounded, ranked
from portico_core.pools.balance import shares
from portico_core.standing import Standings

WEIGHTS = st.lists(st.floats(0.5, 20), min_size=2, max_size=5)
#: For tests that hash so often.
slow = settings(deadline=None, max_examples=25)
KEYS = [f"key-{number}" for number in range(1000)]


def members(weights: list[float]) -> list[Candidate]:
    return [Candidate("b", str(number), weight=weight) for number, weight in enumerate(weights)]


@slow
@given(WEIGHTS)
def test_keys_are_spread_by_weight(weights: list[float]) -> None:
    candidates = members(weights)
    firsts = Counter(ranked(candidates, key)[0] for key in KEYS)
    assert [firsts[each] / len(KEYS) for each in candidates] == pytest.approx(shares(candidates), abs=0.08)


@slow
@given(WEIGHTS, st.data())
def test_only_the_keys_of_one_that_goes_move(weights: list[float], data: st.DataObject) -> None:
    """And so, the other way round, only to one that comes; the others keep their order."""
    candidates = members(weights)
    gone = data.draw(st.sampled_from(candidates))
    rest = [each for each in candidates if each != gone]
    for key in KEYS[:50]:
        assert ranked(rest, key) == [each for each in ranked(candidates, key) if each != gone]


@slow
@given(WEIGHTS, st.data())
def test_more_weight_takes_keys_from_others_and_gives_none_away(
    weights: list[float], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(weights) - 1))
    before = members(weights)
    after = members([weight * 2 if each == number else weight for each, weight in enumerate(weights)])
    for key in KEYS[:50]:
        first, then = ranked(before, key)[0].model, ranked(after, key)[0].model
        assert then in (first, str(number))


def test_the_order_does_not_depend_on_the_list_or_the_process() -> None:
    """Gateways beside one another agree."""
    candidates = members([1, 1, 1])
    assert ranked(candidates, "a session") == ranked(candidates[::-1], "a session")
    assert [each.model for each in ranked(candidates, "a session")] == ["2", "0", "1"]


@slow
@given(WEIGHTS, st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_no_candidate_has_much_more_than_its_part_of_the_load(weights: list[float], keys: list[int]) -> None:
    """However few keys there are, a quarter more than its part by weight, or four."""
    candidates, standings = members(weights), Standings()
    for calls, key in enumerate(keys, 1):
        chosen = bounded(candidates, str(key), lambda each: standings.of(each.model))[0]
        standings.of(chosen.model).in_flight += 1
        part = dict(zip(candidates, shares(candidates), strict=True))[chosen]
        assert standings.of(chosen.model).in_flight <= max(4, ceil(1.25 * calls * part + 1e-9))


def test_a_key_comes_back_when_its_candidate_is_less_busy() -> None:
    """Meanwhile its second choice serves it, always the same one."""
    candidates, standings = members([1, 1, 1]), Standings()
    first, second, _ = ranked(candidates, "a")

    def choice() -> Candidate:
        return bounded(candidates, "a", lambda each: standings.of(each.model))[0]

    for _ in range(4):
        assert choice() == first
        standings.of(first.model).in_flight += 1
    assert choice() == second
    standings.of(first.model).in_flight -= 1
    assert choice() == first
