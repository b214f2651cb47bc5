"""Tries a call's candidates in order until one answers.

A candidate is committed when its answer, or the first content of its stream, has come. Before that a
failure moves the call to the next candidate; after it a failure is an error, never a clean end, and
never a fresh start.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from portico.errors import upstream_failed
from portico_core import mending, usage
from portico_core.attempt import Attempt
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.follow import follow
from portico_core.operations import Identity, Method, R, S, Streaming, Unary
from portico_core.race import Race
from portico_core.settling import Settling
from portico_core.stages import Stage, pass_all
from portico_core.tries import Tries

# One coroutine, or generator, for the stages and the tries: each costs a call at every resumption.


async def answer(
    call: Call,
    settling: Settling,
    stages: Sequence[Stage],
    backends: Mapping[str, Backend],
    operation: Unary[R],
) -> R:
    """Have a call pass its stages; return the first candidate's answer that comes."""
    with settling:
        await pass_all(call, stages)
        tries = Tries(call, backends, operation.method, streamed=False)
        if call.policy.hedge is not False:
            return await _hedged(call, tries, operation)
        while True:
            attempt, method = await tries.next()
            with attempt:
                return await _ask(attempt, method, operation)


async def _hedged(call: Call, tries: Tries[Method[R]], operation: Unary[R]) -> R:
    async def run(attempt: Attempt, method: Method[R]) -> R | None:
        with attempt:
            return await _ask(attempt, method, operation)
        return None

    while True:
        async with Race(call, tries, run, streamed=False) as race:
            while not await race.over():
                pass
        if race.result is not None:
            return race.result


async def _ask(attempt: Attempt, method: Method[R], operation: Unary[R]) -> R:
    call = attempt.call
    with attempt.watchdog:
        response = await method(attempt.upstream())
    if not operation.answers(response):
        told = operation.answer(response).usage
        attempt.told = told if usage.tells(told) else None
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
    call: Call,
    settling: Settling,
    stages: Sequence[Stage],
    backends: Mapping[str, Backend],
    operation: Streaming[S],
) -> AsyncGenerator[S, None]:
    """Have a call pass its stages; yield the first candidate's stream that comes to its first content."""
    with settling:
        await pass_all(call, stages)
        tries = Tries(call, backends, operation.method, streamed=True)
        if mending.is_wanted(call):
            async with aclosing(mending.stream(call, tries, operation)) as mended:
                async for response in mended:
                    yield response
            return
        while True:
            attempt, method = await tries.next()
            with attempt:
                async with aclosing(follow(attempt, method, operation)) as responses:
                    async for response in responses:
                        yield response
                        del response
                return
