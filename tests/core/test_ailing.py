"""Calls keep away from candidates that ail, however the gateway is reached."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import pytest

from portico.errors import GatewayError, from_upstream, invalid_request, upstream_failed
from portico.gateway import CallContext, Gateway
from portico.v1.gateway_pb2 import ChatRequest, GetStatusRequest, StreamRequest
from portico.v1.status_pb2 import BackendStatus, BreakerState
from portico_core.resilience import breaker, plan
from tests.core.cases import MISTAKE, SILENT
from tests.support.core import (
    BINDINGS,
    FOREVER,
    Script,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    contents,
    direct,
    finish,
    params,
    role,
    text,
)

FINE: Script = [answer()]


async def call(gateway: Gateway, *, streamed: bool = False) -> str:
    """Make a call; return the backend that served, or the code of the error."""
    try:
        if streamed:
            responses = [each async for each in gateway.stream(ask_stream(), CallContext(""))]
            assert contents(responses)
            return responses[0].served.backend
        return (await gateway.chat(ask(), CallContext(""))).served.backend
    except GatewayError as error:
        return error.code or ""


async def status(gateway: Gateway) -> Sequence[BackendStatus]:
    return (await gateway.get_status(GetStatusRequest(), CallContext(""))).backends


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_candidate_that_fails_on_end_is_left_alone(binding: str, streamed: bool) -> None:
    """Five silences, then no call goes there; the status tells."""
    ailing = Upstream([[SILENT]])
    well = Upstream([[role(), text("hello"), finish()] if streamed else FINE])
    async with BINDINGS[binding](config({"a": ailing, "b": well})) as gateway:
        assert [await call(gateway, streamed=streamed) for _ in range(8)] == ["b"] * 8
        first, second = await status(gateway)
    assert (len(ailing.calls), len(well.calls)) == (5, 8)
    assert (first.breaker, second.breaker) == (
        BreakerState.BREAKER_STATE_OPEN,
        BreakerState.BREAKER_STATE_CLOSED,
    )
    assert [each.model for each in first.ailing] == ["a-model"]
    assert 0 < first.ailing[0].seconds_left <= 15


async def test_it_is_tried_by_one_call_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gets its calls again when that was answered."""
    monkeypatch.setattr(breaker, "_COOLDOWN", 0.0)
    monkeypatch.setattr(breaker, "_RETURN", 1e-9)
    recovering = Upstream([*[[SILENT]] * 5, FINE])
    async with direct(config({"a": recovering, "b": Upstream([FINE])})) as gateway:
        served = [await call(gateway) for _ in range(8)]
        assert served == ["b"] * 5 + ["a"] * 3
        assert (await status(gateway))[0].breaker == BreakerState.BREAKER_STATE_CLOSED


@pytest.mark.parametrize(
    "failure", [SILENT, from_upstream(401, "bad key"), from_upstream(402, "no money", retry_after=60)]
)
@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_last_candidate_is_tried_all_the_same(binding: str, failure: GatewayError) -> None:
    """A call that nobody else could serve is not refused unheard, and may find it mended."""
    upstream = Upstream([*[[failure]] * 7, FINE])
    async with BINDINGS[binding](config({"a": upstream})) as gateway:
        served = [await call(gateway) for _ in range(8)]
    assert served[-1] == "a"
    assert len(upstream.calls) == 8


async def test_of_several_that_are_open_the_one_that_is_due_first_is_tried() -> None:
    """And no other: all are known to fail."""
    later, sooner = Upstream([[SILENT]]), Upstream([[SILENT]])
    async with direct(config({"a": later, "b": sooner})) as gateway:
        for _ in range(5):
            with pytest.raises(GatewayError):
                await gateway.chat(ChatRequest(params=params("b/b-model")), CallContext(""))
        for _ in range(8):
            assert await call(gateway) == "upstream_timeout"
    assert (len(later.calls), len(sooner.calls)) == (5, 8)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_backend_that_asked_for_a_pause_is_spared_even_by_those_whom_nobody_else_serves(
    binding: str, streamed: bool, status: int
) -> None:
    """They hear how much of it is left."""
    upstream = Upstream([[from_upstream(status, "slow down", retry_after=50)]])
    async with BINDINGS[binding](config({"a": upstream})) as gateway:
        await call(gateway, streamed=streamed)
        for _ in range(8):
            stream = gateway.stream(ask_stream(), CallContext(""))
            with pytest.raises(GatewayError) as raised:
                await (anext(stream) if streamed else gateway.chat(ask(), CallContext("")))
            assert (raised.value.http_status, raised.value.code) == (429, "rate_limit_exceeded")
            assert 40 < (raised.value.retry_after or 0) <= 50
    assert len(upstream.calls) == 1


async def test_a_short_pause_that_the_backend_asked_another_for_is_waited_out() -> None:
    """As far as the caller's deadline allows it."""
    upstream = Upstream([[from_upstream(429, "slow down", retry_after=0.3)], FINE])
    async with direct(config({"a": upstream})) as gateway:
        first = asyncio.create_task(gateway.chat(ask(), CallContext("")))
        await upstream.called()
        await upstream.released()
        loop = asyncio.get_running_loop()
        with pytest.raises(GatewayError) as raised:
            await gateway.chat(ask(), CallContext("", deadline=loop.time() + 0.1))
        context = CallContext("")
        assert (await gateway.chat(ask(), context)).served.backend == "a"
        await first
    assert raised.value.code == "rate_limit_exceeded"
    assert context.receipt is not None
    assert len(context.receipt.attempts) == 1
    assert len(upstream.calls) == 3


async def test_when_the_pause_is_over_one_call_finds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are turned away until it is answered; should it leave, the next one goes."""
    monkeypatch.setattr(breaker, "_ALONE", 0.0)
    monkeypatch.setattr(plan, "_SHORT", 0.0)
    answered = asyncio.Event()
    limited = from_upstream(429, "slow down", retry_after=60)
    upstream = Upstream([[limited], [FOREVER], [answered, answer()], FINE])
    async with direct(config({"a": upstream})) as gateway:
        assert await call(gateway) == "rate_limit_exceeded"
        leaves = asyncio.create_task(call(gateway))
        await upstream.called(2)
        assert [await call(gateway) for _ in range(20)] == ["rate_limit_exceeded"] * 20
        leaves.cancel()
        await asyncio.wait([leaves])
        first = asyncio.create_task(call(gateway))
        await upstream.called(3)
        assert await call(gateway) == "rate_limit_exceeded"
        answered.set()
        assert await first == "a"
        assert await asyncio.gather(*[call(gateway) for _ in range(20)]) == ["a"] * 20


async def test_one_call_alone_finds_out_also_where_it_is_told_of_its_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which begin once the caller has heard of them; one that never does leaves the way to the next."""
    monkeypatch.setattr(breaker, "_COOLDOWN", 0.0)
    ailing = Upstream([*[[SILENT]] * 5, [role(), text("hello"), finish()]])
    async with direct(config({"a": ailing, "b": Upstream([[role(), text("hello"), finish()]])})) as gateway:
        for _ in range(5):
            assert await call(gateway, streamed=True) == "b"
        request = StreamRequest(params=params(), events=True)
        async with contextlib.aclosing(gateway.stream(request, CallContext(""))) as stream:
            assert (await anext(stream)).events[0].candidate.backend == "a"
            assert await call(gateway, streamed=True) == "b"
        assert len(ailing.calls) == 5
        assert await call(gateway, streamed=True) == "a"


@pytest.mark.parametrize(
    ("failure", "calls"),
    [
        (from_upstream(401, "bad key"), 1),
        (from_upstream(402, "no money"), 1),
        (from_upstream(429, "slow down", retry_after=60), 1),
        (upstream_failed("broke"), 6),  # each call tries again once
    ],
)
async def test_how_many_calls_a_failure_takes(failure: GatewayError, calls: int) -> None:
    """What the backend says of itself opens at once; what may be an accident does not."""
    ailing = Upstream([[failure]])
    async with direct(config({"a": ailing, "b": Upstream([FINE])})) as gateway:
        assert [await call(gateway) for _ in range(8)] == ["b"] * 8
    assert len(ailing.calls) == calls


async def test_the_callers_mistakes_open_nothing() -> None:
    """However many there are."""
    upstream = Upstream([*[[MISTAKE]] * 30, FINE])
    async with direct(config({"a": upstream, "b": Upstream([FINE])})) as gateway:
        for _ in range(30):
            with pytest.raises(GatewayError):
                await gateway.chat(ask(), CallContext(""))
        assert await call(gateway) == "a"
        assert (await status(gateway))[0].breaker == BreakerState.BREAKER_STATE_CLOSED


async def test_streams_that_break_off_after_their_beginning_open_it_too() -> None:
    """Though their first content has come."""
    broken = Upstream([[role(), text("hel"), upstream_failed("gone")]])
    well = Upstream([[role(), text("hello"), finish()]])
    async with direct(config({"a": broken, "b": well})) as gateway:
        served = [await call(gateway, streamed=True) for _ in range(7)]
    assert served == ["upstream_error"] * 5 + ["b"] * 2


async def test_who_is_passed_is_named_in_the_log_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """With the reason."""
    ailing = Upstream([[from_upstream(401, "bad key")]])
    async with direct(config({"a": ailing, "b": Upstream([FINE])})) as gateway:
        await call(gateway)
        with caplog.at_level(logging.INFO, "portico.calls"):
            await call(gateway)
        registry = gateway.metrics.registry
        labels = {"backend": "a", "reason": "open"}
        assert registry.get_sample_value("portico_candidates_passed_total", labels) == 1
        assert registry.get_sample_value("portico_breakers_open", {"backend": "a"}) == 1
        assert registry.get_sample_value("portico_breakers_open", {"backend": "b"}) == 0
    assert "passed=a/a-model:open" in caplog.text


async def test_a_pause_that_the_backend_asked_for_is_waited_out_at_the_same_candidate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A short Retry-After is the plan's affair, not the breaker's."""
    monkeypatch.setattr(plan, "_SHORT", 1.0)
    busy = Upstream([[from_upstream(429, "slow", retry_after=0.01)], FINE])
    async with direct(config({"a": busy, "b": Upstream([FINE])})) as gateway:
        assert await call(gateway) == "a"
    assert len(busy.calls) == 2


async def test_a_context_that_is_too_small_opens_nothing() -> None:
    """The prompt was too long, not the candidate ill."""
    upstream = Upstream([[invalid_request("too long", code="context_length_exceeded")]])
    async with direct(config({"a": upstream})) as gateway:
        for _ in range(10):
            assert await call(gateway) == "context_length_exceeded"
        assert not (await status(gateway))[0].ailing
