"""Links that break, leave, grow old, or are not known: what becomes of the calls, and of the next ones."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.link import LinkedGateway, Links
from portico.link.link import Link
from portico.remote import RemoteGateway, channel_options
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.gateway_pb2_grpc import add_GatewayServiceServicer_to_server
from portico_core.link import LinkServicer
from portico_core.server import Server
from portico_core.service import GatewayServicer
from tests.support.core import (
    FOREVER,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    contents,
    direct,
    finish,
    listening,
    role,
    text,
)
from tests.support.health import health_stub
from tests.support.link import clean, linked, server, socket_path, until


async def read(stream: AsyncGenerator[StreamResponse, None]) -> list[StreamResponse]:
    async with contextlib.aclosing(stream):
        return [response async for response in stream]


def scripted(go_on: asyncio.Event) -> FakeGateway:
    """A gateway whose streams end once they may."""
    gateway = FakeGateway()
    gateway.on_stream = [text("Hel"), go_on, text("lo"), finish()]
    gateway.on_chat = [answer()]
    return gateway


# --- breaking


async def test_a_link_that_breaks_fails_each_of_its_calls_once() -> None:
    """Unstreamed or in mid-stream; the next call goes by RPC at once, and links come back."""
    gateway = scripted(asyncio.Event())
    gateway.on_chat = [asyncio.Event()]
    async with linked(gateway) as there:
        chats = [asyncio.create_task(there.gateway.chat(ask(), CallContext(""))) for _ in range(10)]
        streams = [there.gateway.stream(ask_stream(), CallContext("")) for _ in range(10)]
        await asyncio.gather(*map(anext, streams))
        await until(lambda: len(gateway.calls) == 20, "all calls at the core")
        first = set(there.links.open)
        for link in first:
            link._stream.cancel()
        waiting = [asyncio.create_task(anext(stream)) for stream in streams]
        for each in await asyncio.gather(*chats, *waiting, return_exceptions=True):
            assert isinstance(each, GatewayError)
            assert (each.http_status, each.code) == (503, "gateway_unavailable")
        assert [await anext(stream, None) for stream in streams] == [None] * 10
        assert there.links.pick() is None
        gateway.on_chat = [answer()]
        assert await there.gateway.chat(ask(), CallContext("")) == answer()
        await until(lambda: len(there.links.open - first) == 2, "two new links")
        await there.empty()


async def test_a_stream_that_was_made_before_its_link_left_takes_another_way() -> None:
    """The link is picked when the first answer is asked for."""
    go_on = asyncio.Event()
    go_on.set()
    async with linked(scripted(go_on)) as there:
        stream = there.gateway.stream(ask_stream(), CallContext(""))
        for link in list(there.links.open):
            link.leave()
        await until(lambda: all(link.leaving for link in there.links.open), "the end of the links")
        assert contents(await read(stream)) == "Hello"


# --- cores of other releases


async def test_a_core_without_links_is_called_by_rpc() -> None:
    """It is not asked for links all the time; they come when a newer one stands there."""
    gateway = scripted(asyncio.Event())
    with socket_path() as address:
        async with (
            clean(),
            aio.insecure_channel(address, channel_options()) as channel,
            Links(address, much_later=1) as links,
        ):
            there = LinkedGateway(RemoteGateway(channel), links.pick)
            tries = Tries()
            async with older(address, gateway, tries):
                await until(lambda: tries.count >= 2, "the first tries")
                assert await there.chat(ask(), CallContext("")) == answer()
                started = time.monotonic()
                await until(lambda: tries.count >= 4, "further tries")
                assert time.monotonic() - started > 0.4
            async with server(address, gateway, LinkServicer(gateway)):
                await until(lambda: len(links.open) == 2, "two links")
                assert await there.chat(ask(), CallContext("")) == answer()


class Tries(aio.ServerInterceptor):
    """Counts who asks for a link."""

    def __init__(self) -> None:
        self.count = 0

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        self.count += handler_call_details.method == "/portico.link.v1.LinkService/Open"
        return await continuation(handler_call_details)


@contextlib.asynccontextmanager
async def older(address: str, gateway: FakeGateway, tries: Tries) -> AsyncIterator[None]:
    """Serve as a release without links did."""
    running = aio.server(interceptors=[tries])
    add_GatewayServiceServicer_to_server(GatewayServicer(gateway), running)
    running.add_insecure_port(address)
    await running.start()
    try:
        yield
    finally:
        await running.stop(None)


async def test_large_requests_go_by_rpc() -> None:
    """Everything over 64 KiB, which would be in the way of tokens."""
    go_on = asyncio.Event()
    go_on.set()
    gateway = scripted(go_on)
    async with linked(gateway) as there:
        begun = 0

        def pick() -> Link | None:
            nonlocal begun
            begun += 1
            return there.links.pick()

        there.gateway._pick = pick
        for size, over_links in ((1000, 2), (65_000, 4), (66_000, 4), (5_000_000, 4)):
            request, streamed = ask(), ask_stream()
            for each in (request.params, streamed.params):
                each.messages[0].content = "x" * size
            assert await there.gateway.chat(request, CallContext("")) == answer()
            assert contents(await read(there.gateway.stream(streamed, CallContext("")))) == "Hello"
            assert begun == over_links


# --- leaving


async def test_a_draining_core_finishes_what_goes_over_links() -> None:
    """New calls take RPCs, streams come whole, and the server does not wait for more than them."""
    go_on = asyncio.Event()
    upstream = Upstream([[role(), text("Hel"), go_on, text("lo"), finish()]])
    with socket_path() as address:
        async with (
            clean(),
            direct(config({"a": upstream})) as gateway,
            aio.insecure_channel(address, channel_options()) as channel,
            Links(address) as links,
        ):
            core = Server(gateway)
            await core.start([address])
            await until(lambda: len(links.open) == 2, "two links")
            there = LinkedGateway(RemoteGateway(channel), links.pick)
            streams = [there.stream(ask_stream(), CallContext("")) for _ in range(20)]
            first = await asyncio.gather(*map(anext, streams))
            assert sum(link.in_flight for link in links.open) == 20

            stopping = asyncio.create_task(core.stop(60))
            await until(lambda: links.pick() is None, "the core's word that it leaves")
            await until(lambda: gateway._draining, "the end of its notice")
            with pytest.raises(GatewayError) as caught:
                await there.chat(ask(), CallContext(""))
            assert caught.value.http_status == 503
            assert not stopping.done()
            go_on.set()
            started = time.monotonic()
            for begun, stream in zip(first, streams, strict=True):
                assert contents([begun, *await read(stream)]) == "Hello"
            await stopping
            assert time.monotonic() - started < 5


async def test_a_core_that_stops_at_once_ends_its_calls(caplog: pytest.LogCaptureFixture) -> None:
    """When its grace is spent: backends are released, callers told, and nothing of it is an error to log."""
    upstream = Upstream([[role(), text("Hel"), FOREVER]])
    with socket_path() as address:
        async with clean(), direct(config({"a": upstream})) as gateway, Links(address) as links:
            core = Server(gateway)
            await core.start([address])
            await until(lambda: len(links.open) == 2, "two links")
            stream = LinkedGateway(FakeGateway(), links.pick).stream(ask_stream(), CallContext(""))
            await anext(stream)
            await core.stop(0.1)
            with pytest.raises(GatewayError) as caught:
                await anext(stream)
            assert caught.value.http_status == 503
            await upstream.released()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_core_that_leaves_takes_no_links() -> None:
    """A facade that comes late is not to begin calls there."""
    gateway = scripted(asyncio.Event())
    async with linked(gateway) as there:
        there.servicer.leave()
        await until(lambda: there.links.pick() is None, "the core's word that it leaves")
        async with Links(there.address) as late:
            assert await there.gateway.chat(ask(), CallContext("")) == answer()
            await until(lambda: there.servicer._links == set(), "the end of all links")
            assert late.pick() is None


# --- growing old


async def test_a_link_is_replaced_by_age_without_losing_a_call() -> None:
    """The old one ends with its last call; calls go on all the time."""
    go_on = asyncio.Event()
    gateway = scripted(go_on)
    async with linked(gateway, max_age_seconds=1) as there:
        first = set(there.links.open)
        # As many as take both links.
        streams = [there.gateway.stream(ask_stream(), CallContext("")) for _ in range(130)]
        begun = await asyncio.gather(*map(anext, streams))
        rpcs = there.gateway._remote
        there.gateway._remote = FakeGateway()  # which answers nothing: all are to go over links
        seen = set(first)
        while len(seen - first) < 4:
            assert await there.gateway.chat(ask(), CallContext("")) == answer()
            seen |= there.links.open
        there.gateway._remote = rpcs
        assert first <= there.links.open
        go_on.set()
        for each, stream in zip(begun, streams, strict=True):
            assert contents([each, *await read(stream)]) == "Hello"
        await until(lambda: not first & there.links.open, "the end of the old links")
        await until(lambda: len(there.links.open) == 2, "two links")


# --- what others see of it


async def test_links_are_not_shown_to_those_who_ask_what_they_may_call() -> None:
    """They are between Portico's own halves: neither reflection nor health names them."""
    async with (
        direct(config({"a": Upstream()})) as gateway,
        listening(gateway) as address,
        aio.insecure_channel(address) as channel,
    ):
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        told = [each async for each in stub.ServerReflectionInfo(iter([asked]))]
        names = [each.name for each in told[0].list_services_response.service]
        assert "portico.v1.GatewayService" in names
        assert not [name for name in names if "Link" in name]
        health = health_stub(channel)
        with pytest.raises(aio.AioRpcError, match="NOT_FOUND"):
            await health.Check(health_pb2.HealthCheckRequest(service="portico.link.v1.LinkService"))
