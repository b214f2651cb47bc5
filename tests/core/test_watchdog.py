"""The limits on waiting for a backend: what counts, what does not, and what a cancellation becomes."""

import asyncio
import contextlib
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from portico.errors import GatewayError, deadline_exceeded, upstream_silent
from portico_core import watchdog
from portico_core.watchdog import End, Watchdog


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], object], asyncio.TimerHandle]] = []
        #: How many timers were ever made.
        self.made = 0

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        self.made += 1
        handle = asyncio.TimerHandle(self.now + delay, callback, (), asyncio.get_running_loop())
        self.timers.append((self.now + delay, callback, handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Let time pass, and fire what is due."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end and not timer[2].cancelled()]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = end


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that watchdogs see."""
    clock = Clock()
    monkeypatch.setattr(watchdog, "monotonic", lambda: clock.now)
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", clock.call_later)
    return clock


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def wait(dog: Watchdog, future: "asyncio.Future[str]") -> str:
    with dog:
        return await future


def started(dog: Watchdog) -> "tuple[asyncio.Task[str], asyncio.Future[str]]":
    future = asyncio.get_running_loop().create_future()
    return asyncio.create_task(wait(dog, future)), future


async def test_silence_ends_the_wait(clock: Clock) -> None:
    """After the limit the wait is an error, and not before."""
    task, _ = started(Watchdog(silence=30))
    await settle()
    clock.advance(29.9)
    await settle()
    assert not task.done()
    clock.advance(0.2)
    with pytest.raises(GatewayError, match="silent for 30 s") as caught:
        await task
    assert caught.value.http_status == 504
    assert task.cancelling() == 0


async def test_any_byte_counts_as_a_sign_of_life(clock: Clock) -> None:
    """Each byte starts the patience anew."""
    dog = Watchdog(silence=30)
    task, future = started(dog)
    await settle()
    for _ in range(10):
        clock.advance(20)
        dog.alive()
    await settle()
    assert not task.done()
    future.set_result("at last")
    assert await task == "at last"
    dog.close()


async def test_time_between_waits_does_not_count(clock: Clock) -> None:
    """A reader who is slow to take a message does not make the backend silent."""
    dog = Watchdog(silence=30)
    for _ in range(3):
        task, future = started(dog)
        await settle()
        clock.advance(10)
        future.set_result("x")
        assert await task == "x"
        clock.advance(1000)
    task, _ = started(dog)
    await settle()
    clock.advance(31)
    with pytest.raises(GatewayError, match="silent"):
        await task


async def test_waits_share_one_timer(clock: Clock) -> None:
    """A thousand messages cost no thousand timers."""
    dog = Watchdog(silence=30)
    for _ in range(1000):
        task, future = started(dog)
        await asyncio.sleep(0)
        clock.advance(0.01)
        future.set_result("x")
        await task
    assert clock.made == 1
    dog.close()


@pytest.mark.parametrize(("at", "message"), [(5, "deadline"), (50, "silent")])
async def test_the_earliest_end_counts(clock: Clock, at: float, message: str) -> None:
    """An end beside the silence limit wins when it comes first."""
    task, _ = started(Watchdog(30, [End(clock.now + 500, forgotten), End(clock.now + at, deadline_exceeded)]))
    await settle()
    clock.advance(60)
    with pytest.raises(GatewayError, match=message):
        await task


def forgotten() -> GatewayError:
    return upstream_silent("never")


async def test_an_end_can_be_lifted(clock: Clock) -> None:
    """When the content has come, its limit is over."""
    end = End(clock.now + 5, forgotten)
    dog = Watchdog(30, [end])
    task, future = started(dog)
    await settle()
    dog.lift(end)
    clock.advance(20)
    await settle()
    future.set_result("x")
    assert await task == "x"
    dog.close()


@pytest.mark.parametrize("anew", [False, True])
async def test_a_hurry_ends_by_its_first_word_or_anew(clock: Clock, anew: bool) -> None:
    """What has nothing to say does not put off the end."""
    dog = Watchdog(30)
    dog.hurry(2)
    clock.advance(1)
    dog.hurry(2, anew=anew)
    task, future = started(dog)
    await settle()
    clock.advance(1.5)
    await settle()
    assert task.done() is not anew
    if anew:
        future.set_result("x")
        assert await task == "x"
    else:
        with pytest.raises(GatewayError, match="silent"):
            await task
    dog.close()


async def test_an_end_that_has_passed_lets_nobody_wait(clock: Clock) -> None:
    """What is too late is not begun."""
    with pytest.raises(GatewayError, match="deadline"), Watchdog(30, [End(clock.now, deadline_exceeded)]):
        pytest.fail("the wait was begun")


async def test_a_cancellation_from_elsewhere_stays_one(clock: Clock) -> None:
    """The caller who leaves is no silent backend."""
    dog = Watchdog(silence=30)
    task, _ = started(dog)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    dog.close()


@pytest.mark.parametrize("first", ["clock", "caller"])
async def test_a_cancellation_at_the_same_moment_wins(clock: Clock, first: str) -> None:
    """Whichever comes first in one turn of the loop, the caller's cancellation is not lost."""
    task, _ = started(Watchdog(silence=30))
    await settle()
    if first == "caller":
        task.cancel()
    clock.advance(31)
    if first == "clock":
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_an_answer_at_the_same_moment_leaves_no_cancellation_behind(clock: Clock) -> None:
    """When the answer and the end of patience meet, the task goes on uncancelled."""
    dog = Watchdog(silence=30)
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def both() -> int:
        with contextlib.suppress(GatewayError), dog:
            await future
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    task = asyncio.create_task(both())
    await settle()
    future.set_result("x")
    clock.advance(31)
    assert await task == 0


@pytest.mark.parametrize("answer", ["a result", RuntimeError("closed")], ids=["result", "error"])
async def test_a_body_that_swallows_the_end_is_too_late_all_the_same(clock: Clock, answer: Any) -> None:
    """Libraries turn cancellation into errors of their own, or into nothing; the true reason is told."""

    async def swallow() -> None:
        with Watchdog(silence=30):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            if isinstance(answer, Exception):
                raise answer

    task = asyncio.create_task(swallow())
    await settle()
    clock.advance(31)
    with pytest.raises(GatewayError, match="silent"):
        await task
    assert task.cancelling() == 0


async def test_closing_disarms_the_timer(clock: Clock) -> None:
    """Nothing of an attempt that is over stays in the loop."""
    dog = Watchdog(silence=30)
    task, future = started(dog)
    await settle()
    future.set_result("x")
    await task
    dog.close()
    assert all(handle.cancelled() for _, _, handle in clock.timers)


async def test_what_is_closed_keeps_nobody(clock: Clock) -> None:
    """Whoever has a watchdog and tells it of ends is freed with it, without the garbage collector."""

    class Owner:
        def __init__(self) -> None:
            self.dog = Watchdog(30, [End(clock.now + 50, self.late)])

        def late(self) -> GatewayError:
            return upstream_silent("late")

    gc.disable()
    try:
        owner = Owner()
        with owner.dog:
            owner.dog.hurry(2)
        owner.dog.close()
        clock.timers.clear()
        kept, dog = weakref.ref(owner), owner.dog
        del owner
        assert kept() is None
        assert sys.getrefcount(dog) == 2
    finally:
        gc.enable()


async def test_each_wait_may_be_in_another_task(clock: Clock) -> None:
    """Readers that wait for each message in a task of its own are served alike."""
    dog = Watchdog(silence=30)
    task, future = started(dog)
    await settle()
    future.set_result("x")
    await task
    second, _ = started(dog)
    await settle()
    clock.advance(31)
    with pytest.raises(GatewayError, match="silent"):
        await second
