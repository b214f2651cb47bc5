"""Deadlines: in time, moved without a timer for each move."""

import asyncio
from typing import Any

from portico_facade.deadline import Deadline


class Loop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    timers = 0

    def call_at(self, *args: Any, **named: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        self.timers += 1
        return super().call_at(*args, **named)


def test_a_deadline_that_moves_on_sets_no_timer() -> None:
    """Only one that comes to be earlier does, and one whose timer has fired."""
    loop = Loop()

    async def moved() -> None:
        deadline = Deadline(lambda: None)
        deadline.set(60)
        for seconds in (60, 61, 75):
            deadline.clear()
            deadline.set(seconds)
        assert loop.timers == 1
        deadline.set(30)
        assert loop.timers == 2
        deadline.end()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(moved())


async def test_it_is_kept_where_it_was_moved_to() -> None:
    """The timer that fires before it is due looks again."""
    loop = asyncio.get_running_loop()
    late = asyncio.Event()
    deadline = Deadline(late.set)
    begun = loop.time()
    deadline.set(0.02)
    deadline.set(0.1)
    async with asyncio.timeout(5):
        await late.wait()
    assert loop.time() - begun >= 0.099
    # And again, after it has run out.
    late.clear()
    deadline.set(0.01)
    async with asyncio.timeout(5):
        await late.wait()
    deadline.end()


async def test_what_is_cleared_does_not_run_out() -> None:
    """Though its timer fires."""
    late: list[str] = []
    cleared, other = Deadline(lambda: late.append("cleared")), asyncio.Event()
    cleared.set(0.01)
    cleared.clear()
    witness = Deadline(other.set)
    witness.set(0.05)
    async with asyncio.timeout(5):
        await other.wait()
    assert late == []
    cleared.end()
    witness.end()
