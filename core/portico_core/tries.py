"""The tries of one call: its candidates, in the order and at the pace that the plan gives.

One whose breaker is open is passed, and so is one that is full, when its queue is full too. Should that
leave nobody who could serve the call, the one whose breaker is due soonest is tried all the same, unless its
backend has asked for a pause.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import inf
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from portico.adapter import Adapter
from portico.errors import GatewayError, deadline_exceeded, internal, limited, overloaded
from portico_core.attempt import Attempt
from portico_core.backends import Backend
from portico_core.call import FULL, OPEN, Call
from portico_core.candidates import Candidate
from portico_core.resilience.breaker import Breaker
from portico_core.resilience.plan import Plan, Step
from portico_core.state_store import Gate

M = TypeVar("M")

_FIRST: Final = Step(0)
# Seconds after which a caller may ask again for whom there was no place.
_ASK_AGAIN: Final = 1.0
# Seconds before its deadline from which on a call has none left: a timer may fire a little early.
_NO_TIME: Final = 0.01


class Tries(Generic[M]):
    """Makes an attempt after the other, until one succeeds or nothing is left that might mend it."""

    def __init__(
        self,
        call: Call,
        backends: Mapping[str, Backend],
        find: Callable[[Adapter, Any], M],
        *,
        streamed: bool,
    ) -> None:
        """Find out which candidates can serve the call.

        ``find`` returns the adapter's method for the call's parameters, and raises GatewayError where it
        has none. Where no candidate has one the first refusal is raised, and nothing has been attempted.
        """
        self._call = call
        self._streamed = streamed
        self._able: list[tuple[Candidate, Backend, M]] = []
        refusal: GatewayError | None = None
        for candidate in call.candidates:
            backend = backends[candidate.backend]
            try:
                self._able.append((candidate, backend, find(backend.adapter, call.params)))
            except GatewayError as error:
                refusal = refusal or error
        if not self._able:
            raise refusal or internal("a call without candidates was dispatched")
        self._last: Attempt | None = None
        # Numbers of those that were passed: their breakers were open, or they were full.
        self._open: list[int] = []
        self._full: list[int] = []

    async def next(self) -> tuple[Attempt, M]:
        """Return the next attempt, when its time has come, and what makes it.

        Raises what the caller is to hear where none follows the last one.
        """
        step: Step | None = _FIRST
        last = self._last
        if last is not None:
            if last.failure is None:
                raise internal("an attempt neither answered nor failed")
            step = self._plan.after(last.number, last.failure, self._patience(last.backend))
        while step is not None:
            if step.pause:
                await asyncio.sleep(step.pause)
            # Whether the same candidate is tried again is the plan's affair.
            if step.pause or self._admits(step.number):
                places = await self._places(step.number)
                # Those who waited may find it changed.
                if places is not None and (step.pause or not places or self._admits(step.number, places)):
                    return self._attempt(step, places)
            step = self._plan.past(self._patience(self._able[step.number][1]))
        return await self._least_bad()

    async def beside(self) -> tuple[Attempt, M] | None:
        """Return an attempt at the next candidate, to run beside the last one. None: none could begin now.

        It answers under the same name as the last one's, after which the plan still goes on.
        """
        last = self._last
        if last is None:
            return None
        seen = len(self._open), len(self._call.passed)
        try:
            for number in self._plan.beside(self._patience(last.backend)):
                candidate, backend, _ = self._able[number]
                if candidate.public == last.candidate.public and self._admits(number):
                    places = await backend.take(candidate, 0, streamed=self._streamed)
                    if places is not None:
                        return self._attempt(Step(number), places, beside=True)
            return None
        finally:
            # Whoever was passed on the way has its turn yet.
            del self._open[seen[0] :], self._call.passed[seen[1] :]

    def failed_beside(self, attempt: Attempt) -> None:
        """Note that an attempt failed which ran beside the last one: that counts when its turn comes."""
        if attempt.failure is not None:
            self._plan.failed_beside(attempt.number, attempt.failure)

    def failed(self, attempt: Attempt) -> None:
        """Have the plan go on from this one of several attempts that ran at once."""
        before, self._last = self._last, attempt
        if before is not None and before is not attempt and before.failure is not None:
            self._plan.note(before.number, before.failure)

    def only(self, able: Callable[[Adapter, Candidate], bool]) -> None:
        """Leave alone from now on what is not able."""
        self._plan.only(
            [number for number, (each, backend, _) in enumerate(self._able) if able(backend.adapter, each)]
        )

    @cached_property
    def _plan(self) -> Plan:
        """What follows when a try does not succeed: for most calls it is never made."""
        return Plan([candidate for candidate, _, _ in self._able], self._may_repeat, random.random)

    def _admits(self, number: int, places: Sequence[Gate] = ()) -> bool:
        """Tell whether calls may go to a candidate; where not, ``places`` are given back."""
        # The share of the calls that one which returns gets is drawn once.
        candidate, backend, _ = self._able[number]
        breaker = backend.standings.of(candidate.model).breaker
        if breaker.admits(monotonic(), (lambda: 0.0) if places else random.random):
            return True
        for each in places:
            each.leave()
        self._open.append(number)
        self._call.passed.append((candidate, OPEN))
        return False

    def _breaker(self, number: int) -> Breaker:
        candidate, backend, _ = self._able[number]
        return backend.standings.of(candidate.model).breaker

    async def _places(self, number: int) -> Sequence[Gate] | None:
        """Take the places that an attempt needs, maybe after a while. None: there is none."""
        candidate, backend, _ = self._able[number]
        if backend.concurrency.limit is None and candidate.limit is None:
            return ()
        places = await backend.take(candidate, self._patience(backend), streamed=self._streamed)
        if places is None:
            self._full.append(number)
            self._call.passed.append((candidate, FULL))
        return places

    async def _least_bad(self) -> tuple[Attempt, M]:
        """Return the attempt at the candidate that is due soonest, as no other is left that could serve.

        Raises what the caller is to hear where there is none.
        """
        error = self._plan.error
        patience = inf if self._last is None else self._patience(self._last.backend)
        able = self._able
        still = self._plan.still(self._open, patience)
        await self._rest(still)
        for number in sorted(still, key=lambda each: self._breaker(each).due):
            if self._breaker(number).rest(monotonic()):
                continue
            self._open.remove(number)
            self._call.passed.remove((able[number][0], OPEN))
            places = await self._places(number)
            if places is not None:
                return self._attempt(self._plan.back(number), places)
        if error is not None and not self._plan.still(self._full, patience):
            raise error
        left = self._call.context.remaining()
        if left is not None and left < _NO_TIME:
            raise deadline_exceeded()
        raise overloaded("All backends of this model are busy. Try again shortly.", _ASK_AGAIN)

    async def _rest(self, numbers: Sequence[int]) -> None:
        """Wait while the backends of all of them have asked for a pause; raise 429 where it is long."""
        while rest := min((self._breaker(each).rest(monotonic()) for each in numbers), default=0.0):
            pause = self._plan.wait(rest, self._patience(self._able[numbers[0]][1]))
            if pause is None:
                raise limited(rest)
            await asyncio.sleep(pause)

    def _attempt(self, step: Step, places: Sequence[Gate], *, beside: bool = False) -> tuple[Attempt, M]:
        """Return an attempt and what makes it. The plan goes on from it, but not from one ``beside`` it."""
        candidate, backend, method = self._able[step.number]
        if not step.pause:
            backend.budget.earn()
        attempt = Attempt(self._call, backend, candidate, places, number=step.number, streamed=self._streamed)
        if not beside:
            self._last = attempt
        return attempt, method

    def _patience(self, backend: Backend) -> float:
        """Return the seconds that are left for further tries, of which ``backend`` is the first."""
        left = self._call.context.remaining()
        patience = inf if left is None else left
        if self._streamed:
            return patience
        return min(patience, self._call.started + backend.timeouts.total - monotonic())

    def _may_repeat(self) -> bool:
        return self._last is not None and self._last.backend.budget.spend()
