"""An attempt, and where it is slow a second one beside it (hedging): the first content wins."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

from portico_core.attempt import Attempt
from portico_core.call import Call
from portico_core.resilience.symptoms import symptom
from portico_core.tries import Tries

M = TypeVar("M")
T = TypeVar("T")


class Race(Generic[M, T]):
    """The next attempt of a call.

    ``run`` makes it, and returns what came of it; None: it failed. Where the call's policy does not hedge
    it runs in the caller's own task.
    """

    def __init__(
        self,
        call: Call,
        tries: Tries[M],
        run: Callable[[Attempt, M], Coroutine[Any, Any, T | None]],
        *,
        streamed: bool,
        hedges: bool = True,
        discard: Callable[[T], Awaitable[None]] | None = None,
    ) -> None:
        """``discard`` closes what came of an attempt too late to be taken."""
        self._discard = discard
        self._tries = tries
        self._run = run
        self._streamed = streamed
        self._hedge = call.policy.hedge if hedges else False
        self._method: M
        self._tasks: dict[asyncio.Task[T | None], Attempt] = {}
        # Seconds until a second attempt begins. None: none does.
        self._delay: float | None = None
        #: Those that began, in order.
        self.attempts: list[Attempt] = []
        #: What came of the one that won. None: none did.
        self.result: T | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for task, attempt in self._tasks.items():
            if kind is None and not attempt.left and not task.done():
                # The first was refused: not its caller leaves it.
                attempt.left = "hedged"
            task.cancel()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
            for task in self._tasks:
                late = None if task.cancelled() or task.exception() else task.result()
                if late is not None and self._discard is not None:
                    await self._discard(late)
        finally:
            for attempt in self.attempts:
                attempt.give_back()

    async def over(self) -> bool:
        """Wait until the race is over; False: until another attempt is about to begin."""
        if not self.attempts:
            attempt, self._method = await self._tries.next()
            self.attempts.append(attempt)
            self._delay = self._patience(attempt)
            return False
        if self._delay is None and not self._tasks:
            self.result = await self._run(self.attempts[0], self._method)
            return True
        if len(self._tasks) < len(self.attempts):
            self._begin(self.attempts[-1])
        while self._tasks:
            done, _ = await asyncio.wait(
                self._tasks, timeout=self._delay, return_when=asyncio.FIRST_COMPLETED
            )
            if not done and await self._hedged():
                return False
            ended = [self._ended(task) for task in done]
            if any(ended):
                break
        return True

    def _begin(self, attempt: Attempt) -> None:
        attempt.on_commit = lambda: self._leave(attempt)
        self._tasks[asyncio.create_task(self._run(attempt, self._method))] = attempt

    async def _hedged(self) -> bool:
        self._delay = None
        first = self.attempts[0]
        if not first.backend.hedges.spend():
            return False
        beside = await self._tries.beside()
        if beside is None:
            return False
        attempt, self._method = beside
        attempt.tail = attempt.standing.tail(self._streamed)
        self.attempts.append(attempt)
        return True

    def _ended(self, task: asyncio.Task[T | None]) -> bool:
        """Look at an attempt that is over; tell whether the race is."""
        attempt = self._tasks.pop(task)
        if attempt.left:
            return False
        result = task.result()
        if result is not None:
            self.result = result
            return True
        # Which may have been in time to be tried at once.
        self._delay = None
        if attempt is not self.attempts[0]:
            # Without it the first would have been waited for: its failure makes nothing worse.
            self._tries.failed_beside(attempt)
            return False
        # What cannot be mended elsewhere is not tried there.
        return attempt.failure is not None and not symptom(attempt.failure).cure.elsewhere

    def _leave(self, winner: Attempt) -> None:
        """Stop all but one; at its commit, so that no two can commit."""
        for task, attempt in self._tasks.items():
            if attempt is not winner and not task.done():
                attempt.left = "hedged"
                attempt.standing.tail(self._streamed).note(attempt.elapsed_ms())
                task.cancel()

    def _patience(self, attempt: Attempt) -> float | None:
        """Return the seconds after which a second attempt begins. None: none does."""
        if self._hedge is False:
            return None
        attempt.backend.hedges.earn()
        attempt.tail = tail = attempt.standing.tail(self._streamed)
        if self._hedge is not True:
            return self._hedge
        slow = tail.slow()
        return None if slow is None else slow / 1000
