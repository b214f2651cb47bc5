"""Streams while they run: at once, pings, errors after the 200, slow clients."""

import asyncio
import gc
import json
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from portico.errors import upstream_failed
from portico.gateway import CallContext
from portico.testing.gateway import Ended, FakeGateway
from portico.v1.gateway_pb2 import StreamRequest, StreamResponse
from portico_facade.connection import ClientStream
from portico_facade.handler import Handler
from portico_facade.sse import EventStream
from portico_facade.upload import Upload
from tests.facade.clients import PATIENCE, Client, Facade, facade
from tests.facade.conftest import Start
from tests.facade.messages import ask, first, last, response, tokens

CHAT = "/v1/chat/completions"


async def test_every_message_is_written_at_once(portico: Facade, gateway: FakeGateway) -> None:
    """The first token does not wait for the second, nor the end for anything."""
    second, end = asyncio.Event(), asyncio.Event()
    gateway.on_stream = [first("one"), second, tokens("two"), end, last()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        assert (await client.head()).status == 200
        assert b'"one"' in await client.chunk()
        second.set()
        assert b'"two"' in await client.chunk()
        end.set()
        assert b'"stop"' in await client.chunk()
        assert await client.chunk() == b"data: [DONE]\n\n"


async def test_the_socket_sends_small_writes_without_delay(portico: Facade, gateway: FakeGateway) -> None:
    """TCP_NODELAY, on the second request of a connection too."""
    go_on = asyncio.Event()
    gateway.on_stream = [first("one"), go_on, last()]
    async with portico.connect() as client:
        for _ in range(2):
            go_on.clear()
            client.send("POST", CHAT, ask(stream=True))
            await client.head()
            [stream] = [connection.stream for connection in portico.server._connections]
            assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            go_on.set()
            while await client.chunk():
                pass


async def test_silence_before_the_first_message_is_broken_by_a_comment(
    start: Start, gateway: FakeGateway
) -> None:
    """It commits the 200; the events follow as if nothing had been."""
    go_on = asyncio.Event()
    gateway.on_stream = [go_on, first("one"), last()]
    async with start(ping=0.05) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        answer = await client.head()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert await client.chunk() == b": ping\n\n"
        assert await client.chunk() == b": ping\n\n"
        go_on.set()
        rest = [chunk async for chunk in _chunks(client)]
        assert [chunk for chunk in rest if chunk != b": ping\n\n"][-1] == b"data: [DONE]\n\n"


async def test_silence_between_messages_is_broken_by_a_comment(start: Start, gateway: FakeGateway) -> None:
    """Load balancers cut what is silent for a minute; models think longer."""
    go_on = asyncio.Event()
    gateway.on_stream = [first("one"), go_on, last()]
    async with start(ping=0.05) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        assert b'"one"' in await client.chunk()
        assert await client.chunk() == b": ping\n\n"
        go_on.set()
        assert [chunk async for chunk in _chunks(client)][-1] == b"data: [DONE]\n\n"


async def test_an_error_after_a_comment_is_an_event(start: Start, gateway: FakeGateway) -> None:
    """The status was sent with the comment."""
    go_on = asyncio.Event()
    gateway.on_stream = [go_on, upstream_failed("The backend broke off.")]
    async with start(ping=0.05) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        assert (await client.head()).status == 200
        await client.chunk()
        go_on.set()
        rest = b"".join([chunk async for chunk in _chunks(client)])
        assert b'data: {"error":{"message":"The backend broke off."' in rest
        assert b"[DONE]" not in rest


@pytest.mark.parametrize(
    ("failure", "message", "code"),
    [
        (upstream_failed("The backend broke off.", "10.0.0.7"), "The backend broke off.", "upstream_error"),
        (ZeroDivisionError("secret"), None, "internal_error"),
    ],
)
async def test_an_error_in_mid_stream_is_an_event_and_no_done_follows(
    portico: Facade, gateway: FakeGateway, failure: Exception, message: str | None, code: str
) -> None:
    """The connection stays good: the answer ends as HTTP wants it."""
    gateway.on_stream = [first("one"), failure]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        answer = await client.answer()
        assert answer.status == 200
        *_, event = answer.events
        assert event["error"]["code"] == code
        assert message in (None, event["error"]["message"])
        assert b"secret" not in answer.body
        assert b"10.0.0.7" not in answer.body
        gateway.on_stream = [first("one"), last()]
        client.send("POST", CHAT, ask(stream=True))
        assert (await client.answer()).events[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_answer_ends_the_call(
    portico: Facade, gateway: FakeGateway, stream: bool
) -> None:
    """Before any header, streamed or not, within a second."""
    gateway.on_chat, gateway.on_stream = [asyncio.Event()], [asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=stream))
        await gateway.received()
    async with asyncio.timeout(1):
        assert (await gateway.ended()).ended is Ended.CANCELLED
        await portico.app.facade.idle()


async def test_a_client_that_leaves_in_mid_stream_ends_the_call(
    portico: Facade, gateway: FakeGateway
) -> None:
    """While the gateway is silent: nothing has to be written to notice."""
    gateway.on_stream = [first("one"), asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        await client.chunk()
    async with asyncio.timeout(1):
        assert (await gateway.ended()).ended is Ended.CANCELLED
        await portico.app.facade.idle()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_that_leaves_along_with_its_request_costs_no_call(
    portico: Facade, gateway: FakeGateway, method: str
) -> None:
    """Request and end arrive together: there is nobody to answer."""
    gateway.on_chat, gateway.on_read = [asyncio.Event()], [asyncio.Event()]
    async with portico.connect() as client:
        client.send(method, CHAT if method == "POST" else "/v1/models", ask() if method == "POST" else None)
        client.writer.close()
    # What was sent later is answered, so what came before has been read.
    assert (await portico.ask("GET", "/livez")).status == 200
    async with asyncio.timeout(1):
        await portico.app.facade.idle()
    assert all(call.ended is Ended.CANCELLED for call in gateway.calls)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4", "/readyz"])
async def test_a_client_that_leaves_ends_the_calls_of_other_endpoints_too(
    portico: Facade, gateway: FakeGateway, path: str
) -> None:
    """The list may come from slow backends."""
    gateway.on_read = [asyncio.Event()]
    async with portico.connect() as client:
        client.send("GET", path)
        await gateway.received()
    async with asyncio.timeout(1):
        assert (await gateway.ended()).ended is Ended.CANCELLED


class Flood(FakeGateway):
    """Streams 16 KiB messages without end, and counts them."""

    sent = 0

    async def stream(
        self, request: StreamRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamResponse, None]:
        with self._recorded("stream", request, context):
            yield first("one")
            while True:
                self.sent += 1
                yield tokens("x" * 16_384)
                await asyncio.sleep(0)


async def test_a_client_that_does_not_read_is_not_read_for() -> None:
    """The gateway is asked for no more than the sockets hold, and the client is dropped in the end."""
    flood = Flood()
    async with facade(flood, client_timeout=0.3) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        async with asyncio.timeout(PATIENCE):
            assert (await flood.ended()).ended is Ended.CANCELLED
        buffered = flood.sent * 16_384
        assert buffered < 16_000_000
        assert await client.closed()


async def test_a_stream_that_waits_for_its_client_is_cut_without_a_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client learns why behind what waits for it, and the log has no traceback."""
    flood = Flood()
    async with facade(flood) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        sent = -1
        while sent != flood.sent:
            # Until it is not asked for more: the loop has had time for a hundred messages.
            sent = flood.sent
            for _ in range(100):
                await asyncio.sleep(0)
        [request] = portico.app.facade.running
        request.cut()
        *_, end = [chunk async for chunk in _until_the_end(client)]
        assert b'"code":"shutting_down"' in end
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _until_the_end(client: Client) -> AsyncIterator[bytes]:
    while chunk := await client.chunk():
        yield chunk


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    """Far more than the sockets hold, in longer than client_timeout, and every event whole."""
    flood = Flood()
    async with facade(flood, client_timeout=1.0) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        loop = asyncio.get_running_loop()
        begun, got = loop.time(), 0
        while loop.time() - begun < 1.5 or got < 8_000_000:
            event = await client.chunk()
            assert event.startswith(b'data: {"')
            assert event.endswith(b"}\n\n")
            got += len(event)
            # The pace is what is tested: the client is the slowest part.
            await asyncio.sleep(0.0005)
        assert flood.calls[0].ended is None


async def test_a_client_that_does_not_take_a_whole_answer_is_dropped(
    start: Start, gateway: FakeGateway
) -> None:
    """The answer does not stay in memory for ever."""
    gateway.on_chat = [response("x" * 20_000_000)]
    async with start(client_timeout=0.2) as portico, portico.connect() as client:
        client.send("POST", CHAT, ask())
        await gateway.ended()
        async with asyncio.timeout(PATIENCE):
            await portico.app.facade.idle()
        assert await client.closed()


async def test_a_client_that_takes_a_whole_answer_slowly_is_not_dropped(
    start: Start, gateway: FakeGateway
) -> None:
    """What counts is what it takes, not when the system has room for more."""
    gateway.on_chat = [response("x" * 20_000_000)]
    async with start(client_timeout=0.3) as portico:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            # So small that the answer waits in the server's buffers.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            await loop.sock_connect(sock, ("127.0.0.1", portico.port))
            body = json.dumps(ask()).encode()
            head = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            await loop.sock_sendall(sock, head.encode() + body)
            end = loop.time() + 2
            while loop.time() < end:
                assert await loop.sock_recv(sock, 32 * 1024)
                # The pace is what is tested.
                await asyncio.sleep(0.05)
            # Before it takes what the system still holds, which a closed connection would give too.
            assert portico.app.facade.running


@pytest.mark.parametrize("how", ["whole", "closed", "streamed", "failed", "left", "left a stream", "refused"])
async def test_nothing_of_a_request_stays_behind(portico: Facade, gateway: FakeGateway, how: str) -> None:
    """Neither the handler nor its timers, once the connection is closed."""
    before = _parts()
    async with portico.connect() as client:
        match how:
            case "whole" | "streamed":
                client.send("POST", CHAT, ask(stream=how == "streamed"))
                await client.answer()
            case "closed":
                client.send("GET", "/livez", connection="close")
                await client.answer()
            case "failed":
                gateway.on_stream = [first("one"), upstream_failed("The backend broke off.")]
                client.send("POST", CHAT, ask(stream=True))
                await client.answer()
            case "left":
                gateway.on_chat = [asyncio.Event()]
                client.send("POST", CHAT, ask())
                await gateway.received()
            case "left a stream":
                gateway.on_stream = [first("one"), asyncio.Event()]
                client.send("POST", CHAT, ask(stream=True))
                await client.head()
            case "refused":
                client.send("POST", CHAT, content_length="1000000000")
                await client.answer()
    async with asyncio.timeout(PATIENCE):
        while portico.server._connections or portico.server.lingering or portico.app.facade.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
    # The script's exceptions remember the frames that they went through.
    gateway.on_stream = []
    gc.collect()
    assert [part for part in _parts() if part not in before] == []


@pytest.mark.parametrize("body", [ask(), ask(stream=True), b"{", b""])
async def test_a_request_is_freed_without_the_collector(portico: Facade, body: Any) -> None:
    """What holds it lets go of it, errors too."""
    gc.collect()
    before = _parts()
    gc.disable()
    try:
        await portico.ask("POST", CHAT, body, connection="close")
        async with asyncio.timeout(PATIENCE):
            while portico.server._connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert [part for part in _parts() if part not in before] == []
    finally:
        gc.enable()


def _parts() -> list[object]:
    """Return what requests are made of, of all that live."""
    kinds = (Handler, EventStream, Upload, ClientStream)
    # By type(): isinstance would wake lazy objects of other libraries.
    return [found for found in gc.get_objects() if issubclass(type(found), kinds)]


async def _chunks(client: Client) -> AsyncIterator[bytes]:
    while chunk := await client.chunk():
        yield chunk
