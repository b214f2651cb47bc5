"""Who gets one of a few connections, and when."""

import asyncio

import pytest

from portico_adapters._http.slots import Slots


async def waiting(slots: Slots) -> "asyncio.Task[None]":
    """Return a task that waits for a slot by now."""
    task = asyncio.create_task(slots.wait())
    await asyncio.sleep(0)
    return task


async def test_who_waits_first_is_served_first() -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = await waiting(slots), await waiting(slots)
    slots.leave()
    # Nobody else gets what has been handed on.
    assert not slots.take()
    await first
    assert not second.done()
    slots.leave()
    await second
    slots.leave()
    assert slots.take()


@pytest.mark.parametrize("late", [False, True], ids=["before its turn", "just at its turn"])
async def test_who_leaves_while_waiting_keeps_nothing(*, late: bool) -> None:
    slots = Slots(1)
    assert slots.take()
    gone, next_one = await waiting(slots), await waiting(slots)
    if late:
        slots.leave()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    if not late:
        slots.leave()
    async with asyncio.timeout(5):
        await next_one
    assert not slots.take()
    slots.leave()
    assert slots.take()


async def test_a_place_given_back_in_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    """Who was cancelled has not run since, so that it still stands in the queue."""
    slots = Slots(1)
    assert slots.take()
    gone, next_one = await waiting(slots), await waiting(slots)
    gone.cancel()
    slots.leave()
    async with asyncio.timeout(5):
        await next_one
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert not slots.take()
