"""Who waits for a place, and who gets it."""

import asyncio
from collections.abc import Sequence

from portico_core.places import Places


async def line_up(
    places: Places, count: int, order: list[int], *, limit: int = 1
) -> list["asyncio.Task[bool]"]:
    """Have calls wait, in order."""

    async def one(number: int) -> bool:
        got = await places.take(limit, 100, 10)
        order.append(number)
        return got

    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
    assert places.waiting == count
    return tasks


async def all_of(tasks: Sequence["asyncio.Task[bool]"]) -> list[bool]:
    async with asyncio.timeout(10):
        return await asyncio.gather(*tasks)


async def test_first_come_first_served() -> None:
    """Nobody who comes later goes first, even at the moment when a place is free."""
    places, order = Places(), list[int]()
    assert await places.take(1, 0, 10)
    tasks = await line_up(places, 3, order)
    places.leave()
    assert not await places.take(1, 0, 10)
    await asyncio.wait(tasks[:1])
    places.leave()
    await asyncio.wait(tasks[:2])
    places.leave()
    assert await all_of(tasks) == [True] * 3
    assert order == [0, 1, 2]
    places.leave()
    assert await places.take(1, 0, 10)


async def test_the_queue_is_bounded_in_length_and_time() -> None:
    """Where it is full nobody waits; whose time is over waits no longer, nor does one without any."""
    places = Places()
    assert await places.take(1, 1, 10)
    assert not await places.take(1, 0, 10)
    assert not await places.take(1, 1, 0)
    assert not await places.take(1, 1, 0.001)
    assert places.waiting == 0


async def test_one_who_leaves_gives_up_the_place_at_once() -> None:
    """In the queue, and at the very moment at which the place came."""
    places, order = Places(), list[int]()
    assert await places.take(1, 0, 10)
    first, second, third = await line_up(places, 3, order)
    first.cancel()
    await asyncio.wait([first])
    assert places.waiting == 2
    places.leave()
    second.cancel()
    assert await all_of([third])
    assert (places.waiting, order) == (0, [2])
    places.leave()
    assert await places.take(1, 0, 10)


async def test_one_who_was_cancelled_just_before_a_place_came_does_not_get_it() -> None:
    """The next one does."""
    places, order = Places(), list[int]()
    assert await places.take(1, 0, 10)
    first, second = await line_up(places, 2, order)
    first.cancel()
    places.leave()
    assert await all_of([second])
    places.leave()
    assert await places.take(1, 0, 10)
    assert not await places.take(1, 0, 10)


async def test_a_higher_limit_counts_at_once() -> None:
    """As after a reload."""
    places = Places()
    assert await places.take(1, 0, 10)
    assert not await places.take(1, 0, 10)
    assert await places.take(2, 0, 10)
