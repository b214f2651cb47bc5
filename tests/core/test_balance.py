"""Who of several candidates goes first: parts near the weights, nobody starved, the busy and slow spared."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico_core.candidates import Candidate
from portico_core.policy import LEAST, ORDER, WEIGHTED, Policy
from portico_core.pools.balance import StandingOf, least, shares, weighted
from portico_core.pools.order import groups, ordered
from portico_core.standing import Standing

DRAWS = 2000
#: For tests that draw so often.
slow = settings(deadline=None, max_examples=25)


def standing_of(
    in_flight: Mapping[str, int] | None = None, ms: Mapping[str, float] | None = None
) -> StandingOf:
    """Return the standings of candidates by their model."""

    def standing(candidate: Candidate) -> Standing:
        found = Standing()
        found.in_flight = (in_flight or {}).get(candidate.model, 0)
        found.first_content_ms = (ms or {}).get(candidate.model)
        return found

    return standing


WEIGHTS = st.lists(st.floats(0.5, 20), min_size=2, max_size=5)
SEEDS = st.integers(0, 1000)


def members(weights: list[float]) -> list[Candidate]:
    return [Candidate("b", str(number), weight=weight) for number, weight in enumerate(weights)]


def parts(firsts: Counter[Candidate], candidates: list[Candidate]) -> list[float]:
    return [firsts[each] / firsts.total() for each in candidates]


@slow
@given(WEIGHTS, SEEDS)
def test_by_weight_each_is_first_as_often_as_its_weight_says(weights: list[float], seed: int) -> None:
    candidates, chance = members(weights), random.Random(seed).random
    firsts = Counter(weighted(candidates, chance)[0] for _ in range(DRAWS))
    assert parts(firsts, candidates) == pytest.approx(shares(candidates), abs=0.05)


@slow
@given(WEIGHTS, SEEDS)
def test_of_equals_each_is_first_as_often_as_its_weight_says(weights: list[float], seed: int) -> None:
    """Nobody is busy, and times differ by less than chance makes them."""
    candidates, chance = members(weights), random.Random(seed).random
    times = {each.model: 100 + 4 * number for number, each in enumerate(candidates)}
    firsts = Counter(least(candidates, standing_of(ms=times), chance)[0] for _ in range(DRAWS))
    assert parts(firsts, candidates) == pytest.approx(shares(candidates), abs=0.05)


@slow
@given(st.integers(2, 5), SEEDS)
def test_the_slowest_and_busiest_is_not_starved(count: int, seed: int) -> None:
    """It is first in as many cases as it is drawn twice, and so can show that it has recovered."""
    candidates, chance = members([1.0] * count), random.Random(seed).random
    standing = standing_of(
        {"0": 1000}, {str(number): 10.0 if number else 60_000.0 for number in range(count)}
    )
    firsts = Counter(least(candidates, standing, chance)[0] for _ in range(DRAWS))
    share = 1 / count**2
    # Five standard deviations: chance alone does not get there.
    deviation = math.sqrt(share * (1 - share) / DRAWS)
    assert firsts[candidates[0]] / DRAWS == pytest.approx(share, abs=5 * deviation)


@pytest.mark.parametrize(
    ("in_flight", "ms"),
    [({"0": 2}, {}), ({}, {"0": 200.0, "1": 100.0}), ({"0": 9, "1": 2}, {"0": 30.0, "1": 60.0})],
    ids=["busier", "slower", "faster, but busier by more"],
)
def test_the_worse_of_two_goes_second(in_flight: Mapping[str, int], ms: Mapping[str, float]) -> None:
    """Whichever was drawn first."""
    candidates, standing = members([1, 1]), standing_of(in_flight, ms)
    for draws in ([0.1, 0.9], [0.9, 0.1]):
        assert least(candidates, standing, iter(draws).__next__) == candidates[::-1]


def test_load_counts_per_weight() -> None:
    """Thrice the weight may have thrice the calls; the first that was drawn goes first then."""
    candidates, standing = members([3, 1]), standing_of({"0": 30, "1": 10})
    assert least(candidates, standing, iter([0.1, 0.9]).__next__) == candidates
    assert least(candidates, standing, iter([0.9, 0.1]).__next__) == candidates[::-1]


async def test_those_who_wait_for_a_place_count_as_load() -> None:
    """A limit makes a candidate with a queue look no less busy than one without."""
    candidates, standings = members([1, 1]), {"0": Standing(), "1": Standing()}
    places = standings["0"].places
    assert await places.take(1, 1, 10)
    waiting = asyncio.create_task(places.take(1, 1, 10))
    await asyncio.sleep(0)
    assert places.waiting == 1
    order = least(candidates, lambda each: standings[each.model], iter([0.1, 0.9]).__next__)
    assert order == candidates[::-1]
    places.leave()
    assert await waiting
    order = least(candidates, lambda each: standings[each.model], iter([0.1, 0.9]).__next__)
    assert order == candidates


def test_one_without_a_time_is_compared_by_its_load() -> None:
    """A new candidate is neither preferred nor shunned."""
    candidates, standing = members([1, 1]), standing_of(ms={"0": 0.001})
    assert least(candidates, standing, iter([0.9, 0.1]).__next__) == candidates[::-1]


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.just("b"),
        st.text("abcdef", min_size=1, max_size=3),
        weight=st.sampled_from([0.0, 1.0, 5.0]),
        priority=st.integers(0, 2),
    ),
    unique=True,
    max_size=6,
).map(lambda each: sorted(each, key=lambda candidate: candidate.priority))
POLICIES = st.builds(Policy, balance=st.sampled_from([ORDER, WEIGHTED, LEAST]))


@given(CANDIDATES, POLICIES, st.text(max_size=3), SEEDS)
def test_an_order_holds_all_candidates_by_their_priority(
    candidates: list[Candidate], policy: Policy, key: str, seed: int
) -> None:
    """Each once; of one priority those without weight last; an order stays as it is."""
    order = list(ordered(candidates, policy, key, standing_of(), random.Random(seed).random))
    assert sorted(order, key=candidates.index) == candidates
    assert [each.priority for each in order] == [each.priority for each in candidates]
    if policy.balance == ORDER:
        assert order == candidates
    else:
        places = [(each.priority, not each.weight) for each in order]
        assert places == sorted(places)


def test_in_an_order_each_is_a_group_of_its_own() -> None:
    """So the first is tried first, whatever the load."""
    candidates = members([1, 1])
    assert list(groups(candidates, Policy())) == [[candidates[0]], [candidates[1]]]
    assert list(groups(candidates, Policy(balance=LEAST))) == [candidates]
