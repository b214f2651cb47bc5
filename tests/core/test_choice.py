"""The candidates of a call: nobody is lost, nobody comes twice, and none that cannot serve."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico_core.candidates import Candidate, Pool
from portico_core.policy import CACHE_KEY, LEAST, WEIGHTED, Policy
from portico_core.pools.choice import choose
from portico_core.pools.fit import lacks
from portico_core.standing import Standing
from tests.core.test_pools import IMAGE
from tests.support.core import params

SEEDS = st.integers(0, 1000)
CANDIDATES = st.builds(
    Candidate,
    st.sampled_from("ab"),
    st.sampled_from("xyz"),
    weight=st.sampled_from([0.0, 1.0, 5.0]),
    tags=st.frozensets(st.sampled_from(["eu", "fast"])),
    features=st.none() | st.frozensets(st.sampled_from(["images", "tools"])),
)
POLICIES = st.one_of(
    st.just(Policy()),
    st.builds(
        Policy, balance=st.sampled_from([WEIGHTED, LEAST]), affinity=st.sampled_from([None, CACHE_KEY])
    ),
)
POOLS = st.lists(
    st.builds(Pool, st.lists(CANDIDATES, min_size=1, max_size=5, unique=True).map(tuple), POLICIES),
    min_size=1,
    max_size=3,
)


def standing(_candidate: Candidate) -> Standing:
    return Standing()


def test_one_that_stands_twice_in_an_order_is_asked_once() -> None:
    one, other = Candidate("a", "x"), Candidate("b", "x")
    assert choose([Pool((one, other, one))], "m", params(), [], standing, random.random) == (one, other)


@settings(deadline=None)
@given(POOLS, st.booleans(), st.sampled_from(["", "eu", "eu, fast"]), st.sampled_from(["", "key"]), SEEDS)
def test_whoever_can_serve_is_chosen_once_and_nobody_else(
    pools: list[Pool], image: bool, tags: str, key: str, seed: int
) -> None:
    """Whatever the balance; those of the model itself go before those of its fallbacks."""
    asked = IMAGE if image else params(prompt_cache_key=key)
    headers = [Header(name="x-portico-route", value=tags.encode())] if tags else []
    wanted = {each.strip() for each in tags.split(",") if each}
    needed = {"images"} if image else set()
    places: dict[tuple[str, str], int] = {}
    for number, pool in enumerate(pools):
        for each in pool.candidates:
            if not lacks(each, needed, wanted):
                places.setdefault((each.backend, each.model), number)
    chance = random.Random(seed).random
    if not places and not (len(pools) == 1 and pools[0].plain and not tags):
        with pytest.raises(GatewayError) as raised:
            choose(pools, "m", asked, headers, standing, chance)
        assert raised.value.http_status == 400
        return
    chosen = choose(pools, "m", asked, headers, standing, chance)
    if len(pools) == 1 and pools[0].plain and not tags:
        assert chosen == pools[0].candidates
        return
    names = [(each.backend, each.model) for each in chosen]
    assert Counter(names) == Counter(places.keys())
    assert [places[each] for each in names] == sorted(places.values())


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.5, 20), min_size=2, max_size=5), SEEDS, st.data())
def test_when_one_goes_its_calls_are_spread_by_weight_over_the_others(
    weights: list[float], seed: int, data: st.DataObject
) -> None:
    """And the others' own calls stay where they were drawn: nothing moves but what must."""
    candidates = tuple(Candidate("b", str(number), weight=each) for number, each in enumerate(weights))
    gone = data.draw(st.sampled_from(candidates))
    pool, chance = Pool(candidates, Policy(balance=WEIGHTED)), random.Random(seed).random
    orders = [choose([pool], "m", params(), (), standing, chance) for _ in range(2000)]
    # Its calls go to the second of their order, as when its breaker opens.
    heirs = [next(each for each in order if each != gone) for order in orders]
    assert all(heir == order[0] for heir, order in zip(heirs, orders, strict=True) if order[0] != gone)
    left = sum(each.weight for each in candidates if each != gone)
    for each in candidates:
        if each != gone:
            assert heirs.count(each) / len(heirs) == pytest.approx(each.weight / left, abs=0.05)
