"""Breakers and limits over real HTTP backends: what the wire says decides who is left alone."""

import asyncio
from dataclasses import replace

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext, Gateway
from portico.testing.upstream import Upstream
from portico.testing.wire import HANG, RESET, Step, answer
from portico.v1.gateway_pb2 import GetStatusRequest
from portico.v1.status_pb2 import BackendStatus, BreakerState
from portico_core.config import Concurrency
from tests.core.over_http import ASKING, WHOLE, over
from tests.core.test_limits import queued
from tests.support.core import BINDINGS


def says(status: int, retry_after: str = "") -> list[Step]:
    """Return an error of OpenAI's dialect."""
    headers = [("retry-after", retry_after)] if retry_after else []
    return answer(b'{"error": {"message": "no"}}', status, headers)


async def first_backend(gateway: Gateway) -> BackendStatus:
    return (await gateway.get_status(GetStatusRequest(), CallContext(""))).backends[0]


#: What the backend does, attempts until it is left alone, and the seconds for which it is.
AILS: dict[str, tuple[list[Step], int, float | None]] = {
    "a long Retry-After": (says(429, retry_after="42"), 1, 42),
    "an overload": (says(503, retry_after="20"), 1, 20),
    "overloaded, for Anthropic": (says(529, retry_after="20"), 1, 20),
    "a nonsensical Retry-After": (says(429, retry_after="999999"), 1, 300),
    "a quota": (says(402), 1, 60),
    "our key": (says(401), 1, None),
    "resets": ([RESET], 6, 15),
    "500": (says(500), 6, 15),
}


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("ails", AILS)
async def test_a_backend_that_ails_is_left_alone(binding: str, ails: str) -> None:
    """For as long as it says, or for a cooldown; callers get their answers elsewhere."""
    script, attempts, seconds = AILS[ails]
    async with Upstream(script) as bad, Upstream(WHOLE) as good:
        async with BINDINGS[binding](over([bad.url, good.url])) as gateway:
            for _ in range(8):
                assert await ASKING["unstreamed"](gateway) == "hello"
            status = await first_backend(gateway)
        assert (len(bad.requests), len(good.requests)) == (attempts, 8)
    assert status.breaker == BreakerState.BREAKER_STATE_OPEN
    (ailing,) = status.ailing
    if seconds is None:
        assert not ailing.HasField("seconds_left")
    else:
        assert seconds - 10 < ailing.seconds_left <= seconds


@pytest.mark.parametrize(("told", "seconds"), [("42", 42), ("86400", 86_400), ("1000000000", 86_400)])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_caller_is_told_to_wait_as_the_backend_says_but_no_longer_than_a_day(
    binding: str, told: str, seconds: float
) -> None:
    """Some clients sleep for as long as they are told."""
    async with Upstream(says(429, told)) as upstream, BINDINGS[binding](over([upstream.url])) as gateway:
        with pytest.raises(GatewayError) as caught:
            await ASKING["unstreamed"](gateway)
    assert caught.value.retry_after == seconds


async def test_a_backend_that_was_mended_is_found_by_the_first_call() -> None:
    """Where there is no other: the last candidate is tried all the same."""
    async with Upstream([RESET]) as upstream, BINDINGS["direct"](over([upstream.url])) as gateway:
        for _ in range(5):
            with pytest.raises(GatewayError):
                await ASKING["unstreamed"](gateway)
        assert (await first_backend(gateway)).breaker == BreakerState.BREAKER_STATE_OPEN
        upstream.serve(WHOLE)
        assert await ASKING["unstreamed"](gateway) == "hello"
        assert (await first_backend(gateway)).breaker == BreakerState.BREAKER_STATE_RETURNING


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_backend_sees_no_more_requests_at_a_time_than_its_limit(binding: str, asking: str) -> None:
    """Those who wait come in as others end, those who leave never come."""
    async with Upstream([HANG]) as upstream:
        settings = over([upstream.url])
        (backend,) = settings.backends
        limited = replace(settings, backends=(replace(backend, concurrency=Concurrency(2, 6)),))
        async with BINDINGS[binding](limited) as gateway, asyncio.timeout(20):
            tasks = [asyncio.ensure_future(ASKING[asking](gateway)) for _ in range(2)]
            await upstream.received(2)
            tasks += [asyncio.ensure_future(ASKING[asking](gateway)) for _ in range(6)]
            await queued(gateway, 6)
            assert len(upstream.requests) == 2
            with pytest.raises(GatewayError) as caught:
                await ASKING[asking](gateway)
            assert (caught.value.http_status, caught.value.retry_after) == (503, 1)
            for task in tasks[2:7]:
                task.cancel()
            await queued(gateway, 1)
            tasks[0].cancel()
            await upstream.received(3)
            await queued(gateway, 0)
            assert len(upstream.requests) == 3
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
