"""Tries a call's candidates in order until one answers.

A candidate is committed when its answer, or the first content of its stream, has come. Before that a
failure moves the call to the next candidate; after it a failure is an error, never a clean end, and
never a fresh start.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from portico.errors import GatewayError, upstream_failed
from portico_core import usage
from portico_core.attempt import Attempt
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.operations import Identity, Method, R, S, Streaming, StreamMethod, Unary
from portico_core.progress import Progress
from portico_core.tries import Tries

# Seconds that a stream has to end once every choice has its finish_reason: some send the usage then.
_GRACE: Final = 2.0


async def answer(call: Call, backends: Mapping[str, Backend], operation: Unary[R]) -> R:
    """Return the first candidate's answer that comes."""
    tries = Tries(call, backends, operation.method, streamed=False)
    while True:
        attempt, method = await tries.next()
        with attempt:
            return await _ask(attempt, method, operation)


async def _ask(attempt: Attempt, method: Method[R], operation: Unary[R]) -> R:
    call = attempt.call
    with attempt.watchdog:
        response = await method(attempt.upstream())
    if not operation.answers(response):
        raise upstream_failed("The backend sent an answer without content.")
    attempt.commit()
    answered = operation.answer(response)
    answered.model = attempt.candidate.public or call.model
    if operation.id_prefix is not None:
        Identity(operation.id_prefix).fill(answered)
    response.served.CopyFrom(attempt.served)
    call.usage = usage.settled(answered, call.params)
    return response


async def stream(
    call: Call, backends: Mapping[str, Backend], operation: Streaming[S]
) -> AsyncGenerator[S, None]:
    """Yield the first candidate's stream that comes to its first content."""
    tries = Tries(call, backends, operation.method, streamed=True)
    while True:
        attempt, method = await tries.next()
        with attempt:
            async with aclosing(_follow(attempt, method, operation)) as responses:
                async for response in responses:
                    yield response
            return


async def _follow(
    attempt: Attempt, method: StreamMethod[S], operation: Streaming[S]
) -> AsyncGenerator[S, None]:
    """Yield one candidate's stream from its first content on; raise unless it comes to a whole end."""
    call, progress = attempt.call, Progress(operation.has_content, operation.text_of)
    identity = Identity(operation.id_prefix)
    held: list[S] = []
    try:
        async with aclosing(method(attempt.upstream())) as source:
            while (response := await _next(source, attempt, progress)) is not None:
                progress.take(response)
                if progress.whole:
                    attempt.watchdog.hurry(_GRACE)
                if response.HasField("header") or not (held or attempt.committed):
                    identity.fill(response.header)
                    response.header.model = attempt.candidate.public or call.model
                if attempt.committed:
                    yield response
                    continue
                held.append(response)
                if progress.committed:
                    attempt.commit()
                    held[0].served.CopyFrom(attempt.served)
                    for each in _joined(held):
                        yield each
        if progress.usage is None:
            progress.usage = usage.estimated(call.params, progress.size)
            yield operation.telling(progress.usage)
    finally:
        # A stream that was cut cost what came of it, should nobody say better.
        if progress.usage is None and attempt.committed:
            progress.usage = usage.estimated(call.params, progress.size)
        call.usage = progress.usage


async def _next(source: AsyncGenerator[S, None], attempt: Attempt, progress: Progress) -> S | None:
    """Wait for the next message of a stream. None: it is over, and whole."""
    failure: GatewayError | None = None
    try:
        with attempt.watchdog:
            return await anext(source)
    except StopAsyncIteration:
        pass
    except GatewayError as error:
        failure = error
    # What happens to a connection after the last finish_reason takes nothing from the answer.
    if progress.whole:
        return None
    raise failure or upstream_failed("The backend's stream broke off before the answer was whole.")


def _joined(held: list[S]) -> list[S]:
    """Return what was held as few messages: a new one only where the header changes."""
    joined = held[:1]
    for response in held[1:]:
        if response.HasField("header"):
            joined.append(response)
        else:
            joined[-1].MergeFrom(response)
    return joined
