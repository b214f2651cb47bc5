"""Streams of which more is wanted than the first candidate's that comes: events, hedging, and an answer
even where a backend breaks off after its first content.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Generic

from portico.errors import GatewayError, internal
from portico.v1.events_pb2 import AttemptEvent
from portico_core.attempt import Attempt
from portico_core.attempt_events import AttemptEvents
from portico_core.call import Call
from portico_core.follow import follow
from portico_core.mends import Mend, mend_of
from portico_core.operations import S, Streaming, StreamMethod
from portico_core.policy import ERROR
from portico_core.race import Race
from portico_core.tries import Tries


def is_wanted(call: Call) -> bool:
    """Tell whether a call needs any of this."""
    policy = call.policy
    return call.events or call.restart or policy.broken != ERROR or policy.hedge is not False


@dataclass(frozen=True)
class _Opened(Generic[S]):
    """A stream that has come to its first content. ``accounts`` are the attempt's, to be closed."""

    attempt: Attempt
    first: S
    rest: AsyncGenerator[S, None]
    accounts: ExitStack

    async def aclose(self) -> None:
        with suppress(GeneratorExit), self.accounts:
            await self.rest.aclose()
            raise GeneratorExit


async def stream(
    call: Call, tries: Tries[StreamMethod[S]], operation: Streaming[S]
) -> AsyncGenerator[S, None]:
    """Yield a stream as the call's policy and its caller want it."""
    events = AttemptEvents(call)
    mend = mend_of(call, tries, operation, events)

    async def run(attempt: Attempt, method: StreamMethod[S]) -> _Opened[S] | None:
        mend.prepare(attempt)
        return await _open(attempt, method, operation)

    while True:
        broke: GatewayError | None = None
        # Two answers at once are worth their price as long as the caller has none.
        hedges = not mend.begun
        async with Race(call, tries, run, streamed=True, hedges=hedges, discard=_Opened[S].aclose) as race:
            while not await race.over():
                events.began(race.attempts)
                if news := events.news():
                    yield operation.events(news)
            opened = race.result
            if opened is not None:
                try:
                    with opened.accounts:
                        async with aclosing(_passed(opened, mend, events, operation)) as responses:
                            async for response in responses:
                                yield response
                except GatewayError as error:
                    broke = error
        if news := events.news():
            yield operation.events(news)
        if opened is None:
            continue
        if broke is None and not mend.diverged:
            for response in mend.rest():
                yield response
            return
        tries.failed(opened.attempt)
        if not mend.broke(broke):
            raise mend.failure or internal("a stream broke off without a failure")


async def _open(attempt: Attempt, method: StreamMethod[S], operation: Streaming[S]) -> _Opened[S] | None:
    """Make an attempt up to its first content. None: it failed."""
    with ExitStack() as accounts:
        accounts.enter_context(attempt)
        responses = follow(attempt, method, operation)
        first = await anext(responses, None)
        if first is None:
            raise internal("a stream ended before it began")
        return _Opened(attempt, first, responses, accounts.pop_all())
    return None


async def _passed(
    opened: _Opened[S], mend: Mend[S], events: AttemptEvents, operation: Streaming[S]
) -> AsyncGenerator[S, None]:
    """Yield of one candidate's stream what goes to the caller as it comes."""
    async with aclosing(opened.rest) as rest:
        response: S | None = opened.first
        while response is not None:
            news: Sequence[AttemptEvent] = events.news()
            passed: Sequence[S] = mend.take(opened.attempt, response)
            if mend.diverged:
                opened.attempt.left = "diverged"
                return
            if news and passed:
                told = [*news, *passed[0].events]
                del passed[0].events[:]
                passed[0].events.extend(told)
            elif news:
                yield operation.events(news)
            for each in passed:
                yield each
            response = await anext(rest, None)
