"""A time limit that moves with every request, and hardly ever runs out."""

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls ``late`` once when ``set`` is not followed by another ``set`` or a ``clear`` in time.

    It holds one timer, which looks at the time when it fires rather than being moved: of requests that
    arrive in one piece over a connection that is kept, none sets a timer.
    """

    __slots__ = ("_due", "_late", "_loop", "_timer")

    def __init__(self, late: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._late = late
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Count from now on."""
        self._due = due = self._loop.time() + seconds
        timer = self._timer
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timer = self._loop.call_at(due, self._fire)

    def clear(self) -> None:
        """Count no more."""
        self._due = math.inf

    def end(self) -> None:
        """Let go of the timer, and of whom it would call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        del self._late

    def _fire(self) -> None:
        self._timer = None
        if self._loop.time() >= self._due:
            self._due = math.inf
            self._late()
        elif self._due < math.inf:
            self._timer = self._loop.call_at(self._due, self._fire)
