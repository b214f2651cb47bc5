"""Properties: what holds for everything that strategies draw; and ways to spoil what comes over a wire."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW, MANY = 40, 20_000

# Bytes that mean something to JSON, to lines or to nobody.
_ODD = b'\n"{}[],:\\\x00\xff1e'


def fuzz(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Make a test of a function that takes what the strategies draw: of a few examples, nightly of many."""

    def wrap(check: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
        def test(examples: int) -> None:
            slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
            limits = settings(deadline=None, max_examples=examples, suppress_health_check=slow)
            limits(given(*strategies)(check))()

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return wrap


def cuts(data: st.DataObject, wire: bytes) -> list[int]:
    """Draw the places where reads end."""
    return data.draw(st.lists(st.integers(0, len(wire)), max_size=8))


def reads(wire: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Yield what each read brings of a stream that arrives cut at these places."""
    for start, end in itertools.pairwise([0, *sorted(places), len(wire)]):
        yield wire[start:end]


def damaged(data: st.DataObject, wire: bytes, odd: bytes = _ODD) -> bytes:
    """Return the stream cut off anywhere, with up to three bytes changed to ``odd`` ones."""
    left = bytearray(wire[: data.draw(st.integers(0, len(wire)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(left) - 1)), max_size=3)):
        if left:
            left[place] = data.draw(st.sampled_from(odd))
    return bytes(left)


def shuffled(value: Any, order: Random) -> Any:
    """Return the same JSON with the members of its objects in another order."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda _: order.random())
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value
