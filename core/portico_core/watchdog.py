"""Ends the wait for a backend that takes too long.

One timer serves a whole attempt. It is armed for the earliest moment at which patience may be over,
and when it fires it looks whether that moment has moved: no timer is made or moved per message.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

from portico.errors import GatewayError, upstream_silent


class End(NamedTuple):
    """A moment at which the wait ends, and why."""

    #: ``time.monotonic()``.
    at: float
    error: Callable[[], GatewayError]


class Watchdog:
    """``with watchdog:`` around each wait turns a wait that takes too long into a GatewayError.

    Time counts only inside of such blocks: a slow reader of the answer is not a silent backend. The
    body is cancelled, as by ``asyncio.timeout``; a cancellation from elsewhere stays one.
    """

    __slots__ = (
        "_cancelling",
        "_ends",
        "_expired",
        "_hurry",
        "_loop",
        "_seen",
        "_silence",
        "_task",
        "_timer",
        "_waiting",
    )

    def __init__(self, silence: float, ends: Iterable[End] = ()) -> None:
        self._silence = silence
        self._ends = tuple(ends)
        self._seen = monotonic()
        self._waiting = False
        self._hurry: End | None = None
        self._expired: GatewayError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._loop = asyncio.get_running_loop()

    def alive(self) -> None:
        """Note that bytes came from the backend."""
        self._seen = monotonic()

    def silent(self) -> float:
        """Return the seconds since bytes came, or since the last wait began."""
        return monotonic() - self._seen

    def lift(self, end: End) -> None:
        """Forget one of the ends."""
        self._ends = tuple(each for each in self._ends if each is not end)

    def hurry(self, seconds: float, *, anew: bool = False) -> None:
        """Have the waits end after so many seconds at the latest, from the first such word on.

        ``anew``: from this one on.
        """
        if self._hurry is None or anew:
            if self._hurry is not None:
                self.lift(self._hurry)
            self._hurry = End(monotonic() + seconds, self._silent)
            self._ends = (*self._ends, self._hurry)
            # Armed anew by the next wait.
            self._disarm()

    def close(self) -> None:
        """Disarm the timer for good."""
        self._disarm()
        # The ends know whose they are: all of a call would wait for the garbage collector.
        self._ends, self._hurry, self._task = (), None, None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task(self._loop)
        if self._task is None:
            raise RuntimeError("a watchdog watches tasks")
        self._cancelling = self._task.cancelling()
        self._seen = monotonic()
        if self._timer is None:
            self._arm()
        self._waiting = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = False
        expired, self._expired = self._expired, None
        if expired is None or self._task is None:
            return
        # We cancelled the task; take that back, and let a second cancellation, a caller's, go on.
        if self._task.uncancel() > self._cancelling:
            if not isinstance(error, asyncio.CancelledError):
                raise asyncio.CancelledError from error
            return
        raise expired from None

    def _arm(self) -> None:
        """Have the timer fire at the next end; raise its error where that is past."""
        at, error = self._seen + self._silence, self._silent
        for end in self._ends:
            if end.at < at:
                at, error = end
        left = at - monotonic()
        if left <= 0:
            raise error()
        self._timer = self._loop.call_later(left, self._fired)

    def _fired(self) -> None:
        self._timer = None
        if not self._waiting or self._task is None:
            return  # the next wait arms it again
        try:
            self._arm()
        except GatewayError as error:
            self._expired = error
            self._task.cancel()

    def _silent(self) -> GatewayError:
        return upstream_silent(f"The backend was silent for {self._silence:g} s.")
