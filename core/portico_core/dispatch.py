"""Tries a call's candidates in order until one answers.

A candidate is committed when its answer, or the first content of its stream, has come. Before that a
failure moves the call to the next candidate; after it a failure is an error, never a clean end, and
never a fresh start.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from portico.errors import GatewayError, internal, upstream_failed
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.receipt_pb2 import Served
from portico_core.attempt import Attempt, attempts
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.progress import Progress, is_answer


async def chat(call: Call, backends: Mapping[str, Backend]) -> ChatResponse:
    """Return the first candidate's answer that comes."""
    for attempt in attempts(call, backends, streamed=False):
        with attempt:
            return await _ask(attempt)
    raise internal("a call without candidates was dispatched")


async def _ask(attempt: Attempt) -> ChatResponse:
    call = attempt.call
    with attempt.watchdog:
        response = await attempt.backend.adapter.chat(attempt.upstream())
    if not is_answer(response):
        raise upstream_failed("The backend sent an answer without content.")
    attempt.commit()
    response.completion.model = call.model
    response.served.CopyFrom(attempt.served)
    if response.completion.HasField("usage"):
        call.usage = response.completion.usage
    return response


async def stream(call: Call, backends: Mapping[str, Backend]) -> AsyncGenerator[StreamResponse, None]:
    """Yield the first candidate's stream that comes to its first content."""
    for attempt in attempts(call, backends, streamed=True):
        with attempt:
            async with aclosing(_follow(attempt)) as responses:
                async for response in responses:
                    yield response
            return
    raise internal("a call without candidates was dispatched")


async def _follow(attempt: Attempt) -> AsyncGenerator[StreamResponse, None]:
    """Yield one candidate's stream from its first content on; raise unless it comes to a whole end."""
    call, progress = attempt.call, Progress()
    held: list[StreamResponse] = []
    try:
        async with aclosing(attempt.backend.adapter.stream(attempt.upstream())) as source:
            while (response := await _next(source, attempt, progress)) is not None:
                progress.take(response)
                if response.HasField("header"):
                    response.header.model = call.model
                if attempt.committed:
                    yield response
                    continue
                held.append(response)
                if progress.committed:
                    attempt.commit()
                    for each in _joined(held, call.model, attempt.served):
                        yield each
    finally:
        call.usage = progress.usage


async def _next(
    source: AsyncGenerator[StreamResponse, None], attempt: Attempt, progress: Progress
) -> StreamResponse | None:
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


def _joined(held: list[StreamResponse], model: str, served: Served) -> list[StreamResponse]:
    """Return what was held as few messages: a new one only where the header changes."""
    first = held[0]
    first.header.model = model
    first.served.CopyFrom(served)
    joined = [first]
    for response in held[1:]:
        if response.HasField("header"):
            joined.append(response)
        else:
            joined[-1].MergeFrom(response)
    return joined
