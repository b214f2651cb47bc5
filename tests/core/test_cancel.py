"""A caller who leaves stops the backend, and the attempts that would follow, within a second."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from portico.errors import GatewayError, upstream_failed
from portico.gateway import CallContext, Gateway
from portico_core.config import Timeouts
from tests.support.core import (
    BINDINGS,
    FOREVER,
    Script,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    role,
    text,
)

Leave: TypeAlias = Callable[[Gateway, Upstream], Awaitable[None]]

# Silence limits do not stop what should stop because the caller left.
PATIENT = Timeouts(silence=3600, total=3600)


async def _cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def leave_chat(gateway: Gateway, upstream: Upstream) -> None:
    """Ask unstreamed and leave before the answer."""
    task = asyncio.ensure_future(gateway.chat(ask(), CallContext("req_1")))
    await upstream.called()
    await _cancelled(task)


async def leave_stream_early(gateway: Gateway, upstream: Upstream) -> None:
    """Ask streamed and leave before the first message."""

    async def read() -> object:
        async with contextlib.aclosing(gateway.stream(ask_stream(), CallContext("req_1"))) as responses:
            return await anext(responses)

    task = asyncio.create_task(read())
    await upstream.called()
    await _cancelled(task)


async def leave_stream_late(gateway: Gateway, upstream: Upstream) -> None:
    """Ask streamed, take the first message and leave while waiting for the next."""
    seen = asyncio.Event()

    async def read() -> object:
        async with contextlib.aclosing(gateway.stream(ask_stream(), CallContext("req_1"))) as responses:
            await anext(responses)
            seen.set()
            return await anext(responses)

    task = asyncio.create_task(read())
    await seen.wait()
    await _cancelled(task)


async def close_stream(gateway: Gateway, upstream: Upstream) -> None:
    """Ask streamed, take the first message and close the stream."""
    stream = gateway.stream(ask_stream(), CallContext("req_1"))
    await anext(stream)
    await stream.aclose()


WAYS: dict[str, tuple[Leave, Script]] = {
    "chat": (leave_chat, [FOREVER]),
    "stream before the first message": (leave_stream_early, [FOREVER]),
    "stream behind a held role": (leave_stream_early, [role(), FOREVER]),
    "stream after the first message": (leave_stream_late, [role(), text("Hel"), FOREVER]),
    "stream closed by its reader": (close_stream, [role(), text("Hel"), FOREVER]),
}


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail when tasks of the test's gateway survive it."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    assert not left


@pytest.mark.usefixtures("no_task_left")
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("way", WAYS)
async def test_leaving_releases_the_backend(way: str, binding: str, caplog: pytest.LogCaptureFixture) -> None:
    """The attempt ends at once, nobody else is tried, and the call is settled as cancelled."""
    caplog.set_level(logging.INFO, "portico.calls")
    leave, script = WAYS[way]
    upstream, other = Upstream([script]), Upstream([[answer()]])
    settings = config({"a": upstream, "b": other}, timeouts=PATIENT)
    async with BINDINGS[binding](settings) as gateway:
        await leave(gateway, upstream)
        left = time.monotonic()
        await upstream.released()
        assert time.monotonic() - left < 1
    assert len(upstream.calls) == 1
    assert other.calls == []
    (line,) = [record.getMessage() for record in caplog.records if record.name == "portico.calls"]
    assert "request_id=req_1" in line
    assert "outcome=cancelled" in line


@pytest.mark.usefixtures("no_task_left")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_leaving_stops_the_attempts_to_come(binding: str) -> None:
    """A caller who leaves during the second attempt stops that one and the third."""
    first = Upstream([[upstream_failed("broken")]])
    second, third = Upstream([[FOREVER]]), Upstream([[answer()]])
    settings = config({"a": first, "b": second, "c": third}, timeouts=PATIENT)
    async with BINDINGS[binding](settings) as gateway:
        task = asyncio.ensure_future(gateway.chat(ask(), CallContext("req_1")))
        await second.called()
        await _cancelled(task)
        await second.released()
    assert third.calls == []


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_deadline_caps_everything(binding: str, streamed: bool) -> None:
    """At the caller's deadline the attempt ends, nobody else is tried, and the error says so."""
    upstream, other = Upstream([[FOREVER]]), Upstream([[answer()]])
    settings = config({"a": upstream, "b": other}, timeouts=PATIENT)
    async with BINDINGS[binding](settings) as gateway:
        context = CallContext("req_1", deadline=time.monotonic() + 0.1)
        call = anext(gateway.stream(ask_stream(), context)) if streamed else gateway.chat(ask(), context)
        with pytest.raises(GatewayError) as caught:
            await call
        await upstream.released()
    assert (caught.value.http_status, caught.value.code) == (504, "deadline_exceeded")
    assert other.calls == []


async def test_a_deadline_that_has_passed_asks_nobody() -> None:
    """A call that comes too late ends before anything is sent."""
    upstream = Upstream([[answer()]])
    async with BINDINGS["direct"](config({"a": upstream})) as gateway:
        with pytest.raises(GatewayError) as caught:
            await gateway.chat(ask(), CallContext("req_1", deadline=time.monotonic() - 1))
    assert caught.value.code == "deadline_exceeded"
    assert upstream.calls == []


async def test_a_direct_call_that_is_cancelled_has_its_receipt() -> None:
    """The receipt of a cancelled call says so, and names the attempt that was under way."""
    upstream = Upstream([[FOREVER]])
    context = CallContext("req_1")
    async with BINDINGS["direct"](config({"a": upstream})) as gateway:
        task = asyncio.ensure_future(gateway.chat(ask(), context))
        await upstream.called()
        await _cancelled(task)
    assert context.receipt is not None
    assert [each.reason for each in context.receipt.attempts] == ["cancelled"]
