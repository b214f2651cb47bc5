"""Leaving a call that goes over a link, and deadlines: neither end keeps anything of it."""

import asyncio
import contextlib
import time

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.link.v1.link_pb2 import Method
from portico.testing.gateway import Ended, FakeGateway
from tests.support.core import answer, ask, ask_stream, contents, finish, text
from tests.support.link import Linked, linked, until

BLOB = text("x" * 100_000)


async def leave(there: Linked, gateway: FakeGateway) -> None:
    """See that a call that was left ends at once, on both sides."""
    left = time.monotonic()
    await until(lambda: all(call.ended is Ended.CANCELLED for call in gateway.calls), "the end of the call")
    await there.empty()
    assert time.monotonic() - left < 1


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_while_a_call_begins(turns: int) -> None:
    """Before its first frame was written, or just after: whatever reaches the core is ended there."""
    gateway = FakeGateway()
    gateway.on_chat = [asyncio.Event()]
    async with linked(gateway) as there:
        for _ in range(20):
            task = asyncio.create_task(there.gateway.chat(ask(), CallContext("")))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await leave(there, gateway)
        gateway.on_chat = [answer()]
        assert await there.gateway.chat(ask(), CallContext("")) == answer()


async def test_a_call_that_was_left_before_it_was_sent_is_not_sent() -> None:
    """The core never hears of it."""
    gateway = FakeGateway()
    gateway.on_chat = [answer()]
    async with linked(gateway) as there:
        link = there.links.pick()
        assert link is not None
        there.gateway._pick = lambda: link
        link.begin(Method.METHOD_CHAT, ask().SerializeToString(), CallContext("")).close()
        assert await there.gateway.chat(ask(), CallContext("")) == answer()
        await there.empty()
    assert len(gateway.calls) == 1


@pytest.mark.parametrize(
    "script", [[text("Hel")], [BLOB] * 50], ids=["waiting for the backend", "for credit"]
)
async def test_leaving_in_mid_stream(script: list[object]) -> None:
    """Whether the call waits for its backend or for its reader."""
    gateway = FakeGateway()
    gateway.on_stream = [*script, asyncio.Event()]  # type: ignore[list-item]
    async with linked(gateway) as there:
        stream = there.gateway.stream(ask_stream(), CallContext(""))
        await anext(stream)
        if script[0] is BLOB:
            (link,) = (link for link in there.servicer._links if link._calls)
            (call,) = link._calls.values()
            await until(lambda: call._waiter is not None, "a wait for credit")
        await stream.aclose()
        await leave(there, gateway)


async def test_leaving_in_a_crowd() -> None:
    """Of a hundred streams every other one is left; the rest come whole."""
    gateway, go_on = FakeGateway(), asyncio.Event()
    gateway.on_stream = [text("Hel"), go_on, text("lo"), finish()]
    async with linked(gateway) as there:
        streams = [there.gateway.stream(ask_stream(), CallContext("")) for _ in range(100)]
        first = await asyncio.gather(*map(anext, streams))
        await asyncio.gather(*(stream.aclose() for stream in streams[::2]))
        await until(lambda: there.under_way == (50, 50), "the end of half of the calls")
        go_on.set()
        for begun, stream in zip(first[1::2], streams[1::2], strict=True):
            assert contents([begun, *[response async for response in stream]]) == "Hello"
        await there.empty()
    assert [call.ended for call in gateway.calls].count(Ended.CANCELLED) == 50


async def test_a_deadline_ends_a_call_at_both_ends() -> None:
    """The caller gets 504 in time, and the core has been told how long it may take."""
    gateway = FakeGateway()
    gateway.on_chat = [asyncio.Event()]
    gateway.on_stream = [text("Hel"), asyncio.Event()]
    async with linked(gateway) as there:
        started = time.monotonic()
        with pytest.raises(GatewayError) as unary:
            await there.gateway.chat(ask(), CallContext("", deadline=started + 0.3))
        assert 0.29 <= time.monotonic() - started < 3  # timers may fire a tick early
        stream = there.gateway.stream(ask_stream(), CallContext("", deadline=time.monotonic() + 0.3))
        await anext(stream)
        with pytest.raises(GatewayError) as streamed:
            await anext(stream)
        assert [each.value.http_status for each in (unary, streamed)] == [504, 504]
        await leave(there, gateway)
    for call in gateway.calls:
        assert call.context.deadline is not None
        assert call.context.deadline - started < 2


async def test_what_travels_beside_a_request_arrives() -> None:
    """As it does with an RPC."""
    gateway = FakeGateway()
    gateway.on_chat = [answer()]
    async with linked(gateway) as there:
        context = CallContext("req_7", "Bearer k\xe9", "00-1-2-01", time.monotonic() + 60, "key")
        await there.gateway.chat(ask(), context)
        await there.gateway.chat(ask(), CallContext("x" * 129))
    first, second = (call.context for call in gateway.calls)
    assert (first.request_id, first.authorization, first.traceparent, first.key) == (
        "req_7", "Bearer k\xe9", "00-1-2-01", "key",
    )  # fmt: skip
    assert first.deadline is not None
    assert abs(first.deadline - (context.deadline or 0)) < 5
    assert (second.request_id, second.authorization, second.key, second.deadline) == ("", None, None, None)
