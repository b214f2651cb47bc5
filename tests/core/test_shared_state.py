"""Limits that several processes share: the same as in one."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portico_core.shared_state import _Shared, shared_state, sharing
from portico_core.state_store import OwnState, StateStore
from tests.support.link import until


@dataclass(frozen=True)
class Stand:
    """A store, and two workers' views of it."""

    own: OwnState
    one: StateStore
    other: StateStore


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    own = OwnState()
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        path = Path(folder) / "state.sock"
        async with sharing(path, own), shared_state(path) as one, shared_state(path) as other:
            yield Stand(own, one, other)


async def test_a_place_is_taken_for_all_until_it_is_given_back(stand: Stand) -> None:
    one, other = stand.one.gate("b"), stand.other.gate("b")
    assert await one.take(1, 0, 10)
    assert not await other.take(1, 0, 10)
    assert await stand.other.gate("another").take(1, 0, 10)
    one.leave()
    assert await other.take(1, 1, 10)


async def test_who_waits_elsewhere_is_served_in_turn(stand: Stand) -> None:
    one, other, own = stand.one.gate("b"), stand.other.gate("b"), stand.own.gate("b")
    assert await one.take(1, 0, 10)
    waits = asyncio.create_task(other.take(1, 1, 10))
    await until(lambda: own.waiting == 1, "nobody waits")
    assert other.waiting == 1
    assert not await one.take(1, 1, 10)
    one.leave()
    assert await asyncio.wait_for(waits, 10)
    assert other.waiting == 0
    assert not await one.take(1, 0, 10)


async def test_whoever_stops_waiting_takes_nothing(stand: Stand) -> None:
    """Neither by its patience nor by being cancelled."""
    one, other, own = stand.one.gate("b"), stand.other.gate("b"), stand.own.gate("b")
    assert await one.take(1, 0, 10)
    assert not await other.take(1, 1, 0.01)
    waits = asyncio.create_task(other.take(1, 1, 10))
    await until(lambda: own.waiting == 1, "nobody waits")
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    await until(lambda: own.waiting == 0, "it waits yet")
    one.leave()
    assert await one.take(1, 0, 10)
    assert not await other.take(1, 0, 10)


async def test_whoever_gives_up_at_once_leaves_nothing_behind(stand: Stand) -> None:
    """The supervisor reads of both at the same time."""
    gate = stand.one.gate("b")
    for _ in range(20):
        gives_up = asyncio.create_task(gate.take(1, 1, 10))
        await asyncio.sleep(0)
        gives_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gives_up
    assert await gate.take(1, 1, 10)
    assert isinstance(stand.one, _Shared)
    assert not stand.one._asked
    assert not await stand.other.gate("b").take(1, 0, 10)


async def test_one_without_patience_takes_a_place_that_is_free(stand: Stand) -> None:
    """A caller may have less time than an answer usually takes; and nobody waits to begin a hedge."""
    one, other = stand.one.gate("b"), stand.other.gate("b")
    assert await one.take(1, 1, -30)
    assert not await other.take(1, 1, -30)


async def test_a_worker_that_is_gone_has_given_back_what_it_had() -> None:
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        path = Path(folder) / "state.sock"
        async with sharing(path, OwnState()), shared_state(path) as stays:
            async with shared_state(path) as goes:
                assert await goes.gate("b").take(1, 0, 10)
                assert not await stays.gate("b").take(1, 0, 10)
            assert await stays.gate("b").take(1, 1, 10)


async def test_without_a_supervisor_nobody_is_turned_away() -> None:
    """A worker drains then."""
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        path = Path(folder) / "state.sock"
        async with contextlib.AsyncExitStack() as supervisor:
            own = OwnState()
            await supervisor.enter_async_context(sharing(path, own))
            async with shared_state(path) as store:
                gate = store.gate("b")
                assert await gate.take(1, 0, 10)
                waits = asyncio.create_task(gate.take(1, 1, 10))
                await until(lambda: own.gate("b").waiting == 1, "nobody waits")
                await supervisor.aclose()
                assert await asyncio.wait_for(waits, 10)
                assert await gate.take(1, 0, 10)
                gate.leave()
