"""The tries of one call: its candidates, in the order and at the pace that the plan gives."""

import asyncio
import random
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import Any, Generic, TypeVar

from portico.adapter import Adapter
from portico.errors import GatewayError, internal
from portico_core.attempt import Attempt
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.resilience.plan import Plan, Step
from portico_core.routing import Candidate

M = TypeVar("M")


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
        self._plan = Plan([candidate for candidate, _, _ in self._able], self._may_repeat, random.random)
        self._last: Attempt | None = None

    async def next(self) -> tuple[Attempt, M]:
        """Return the next attempt, when its time has come, and what makes it.

        Raises what the caller is to hear where none follows the last one.
        """
        if self._last is None:
            return self._attempt(Step(0))
        failure = self._last.failure
        if failure is None:
            raise internal("an attempt neither answered nor failed")
        step = self._plan.after(failure, self._patience())
        if step is None:
            raise self._plan.error or failure
        if step.pause:
            await asyncio.sleep(step.pause)
        return self._attempt(step)

    def _attempt(self, step: Step) -> tuple[Attempt, M]:
        candidate, backend, method = self._able[step.number]
        if not step.pause:
            backend.budget.earn()
        self._last = Attempt(self._call, backend, candidate, streamed=self._streamed)
        return self._last, method

    def _patience(self) -> float:
        """Return the seconds that are left for further tries."""
        left = self._call.context.remaining()
        patience = inf if left is None else left
        if self._streamed or self._last is None:
            return patience
        return min(patience, self._call.started + self._last.backend.timeouts.total - monotonic())

    def _may_repeat(self) -> bool:
        return self._last is not None and self._last.backend.budget.spend()
