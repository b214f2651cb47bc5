"""One candidate's stream, from its first content to its whole end."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from portico.errors import GatewayError, upstream_failed
from portico_core import usage
from portico_core.attempt import Attempt
from portico_core.operations import Identity, S, Streaming, StreamMethod
from portico_core.progress import Progress

# Seconds that a stream has to end once every choice has its finish_reason: some send the usage then.
_GRACE: Final = 2.0


async def follow(
    attempt: Attempt, method: StreamMethod[S], operation: Streaming[S]
) -> AsyncGenerator[S, None]:
    """Yield one candidate's stream from its first content on; raise unless it comes to a whole end."""
    call, progress = attempt.call, Progress(operation.has_content, operation.text_of, operation.runs())
    identity = Identity(operation.id_prefix)
    held: list[S] = []
    try:
        async with aclosing(method(attempt.upstream())) as source:
            while True:
                try:
                    with attempt.watchdog:
                        response = await anext(source)
                except StopAsyncIteration:
                    break
                except GatewayError:
                    # What happens to a connection after the last finish_reason takes nothing from the answer.
                    if progress.whole:
                        break
                    raise
                progress.take(response)
                if progress.whole:
                    # Some finish a choice and say more of it all the same, which is not to be lost.
                    attempt.watchdog.hurry(_GRACE, anew=progress.late)
                if response.HasField("header") or not (held or attempt.committed):
                    identity.fill(response.header)
                    response.header.model = attempt.candidate.public or call.model
                if attempt.committed:
                    yield response
                    # A message takes more than a KiB: none is kept while the stream waits.
                    del response
                    continue
                held.append(response)
                del response
                if progress.committed:
                    attempt.commit()
                    held[0].served.CopyFrom(attempt.served)
                    for each in _joined(held):
                        yield each
                    held.clear()
                    del each
        if not progress.whole:
            raise upstream_failed("The backend's stream broke off before the answer was whole.")
        if progress.contradiction:
            attempt.tell("a choice was finished twice", finish_reasons=progress.contradiction)
        if progress.usage is None:
            progress.usage = usage.estimated(call.params, progress.size)
            yield operation.telling(progress.usage)
    finally:
        attempt.told = progress.usage
        # One that is left for another, or failed before its caller had anything, says nothing of the call.
        if attempt.committed:
            # A stream that was cut cost what came of it, should nobody say better.
            call.usage = progress.usage or usage.estimated(call.params, progress.size)


def _joined(held: list[S]) -> list[S]:
    """Return what was held as few messages: a new one only where the header changes."""
    joined = held[:1]
    for response in held[1:]:
        if response.HasField("header"):
            joined.append(response)
        else:
            joined[-1].MergeFrom(response)
    return joined
