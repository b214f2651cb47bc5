"""Connections: kept, pipelined, HTTP/1.0, and what is no HTTP at all."""

import asyncio
import logging
import time

import pytest

from portico.testing.gateway import Ended, FakeGateway
from portico_facade import conversation
from portico_facade.connection import ClientStream
from portico_facade.conversation import Conversation
from tests.facade.clients import Client, Facade
from tests.facade.conftest import Start
from tests.facade.messages import ask, first

CHAT = "/v1/chat/completions"


async def test_a_connection_serves_one_request_after_the_other(portico: Facade) -> None:
    """Whole answers, streams, errors and empty answers."""
    async with portico.connect() as client:
        for _ in range(3):
            client.send("POST", CHAT, ask())
            assert (await client.answer()).status == 200
            client.send("POST", CHAT, ask(stream=True))
            assert (await client.answer()).events[-1] == "[DONE]"
            client.send("POST", CHAT, b"{")
            assert (await client.answer()).status == 400
            client.send("HEAD", "/livez")
            assert (await client.answer("HEAD")).status == 200
            client.send("OPTIONS", CHAT)
            assert (await client.answer()).status == 204


@pytest.mark.parametrize(
    ("version", "headers"),
    [
        ("1.1", {"connection": "TE, close"}),
        ("1.1", {"connection": "Close"}),
        ("1.0", {}),
        ("1.0", {"connection": "keep-alive", "transfer_encoding": "chunked"}),
    ],
)
async def test_a_client_that_wants_one_answer_gets_the_end(
    portico: Facade, version: str, headers: dict[str, str]
) -> None:
    """Also where that is one wish of several, and where a proxy of HTTP/1.0 cannot know where a body ends."""
    async with portico.connect() as client:
        client.send(
            "GET", "/livez", b"0\r\n\r\n" if "transfer_encoding" in headers else None, version, **headers
        )
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.closed()


async def test_requests_sent_ahead_are_answered_in_order(portico: Facade) -> None:
    """Pipelining."""
    async with portico.connect() as client:
        for number in range(10):
            client.send("POST", CHAT, ask(stream=number % 2 == 0), x_request_id=str(number))
        for number in range(10):
            answer = await client.answer()
            assert answer.headers["x-request-id"] == str(number)
            assert answer.status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "behind", [b"\r\n", b"GET /livez HTTP/1.1\r\nHo", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"]
)
async def test_a_client_that_leaves_after_it_sent_ahead_is_noticed(
    portico: Facade, gateway: FakeGateway, behind: bytes, stream: bool
) -> None:
    """At once: what waits behind its request hides nothing."""
    gateway.on_chat, gateway.on_stream = [asyncio.Event()], [first("one"), asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=stream))
        client.writer.write(behind)
        await gateway.received()
        # Which is read while that is answered.
        client.writer.write(behind)
        await portico.ask("GET", "/livez")
    async with asyncio.timeout(1):
        assert (await gateway.ended()).ended is Ended.CANCELLED
        await portico.app.facade.idle()


async def test_what_is_sent_ahead_is_bounded_and_answered_in_its_turn(
    portico: Facade, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two reads of 64 KiB are kept; the rest stays with the sockets until it is its turn."""
    go_on = asyncio.Event()
    gateway.on_chat = [go_on, *gateway.on_chat]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask())
        for _ in range(20):
            client.send("POST", "/nowhere", b" " * 60_000)
        await gateway.received()
        [served] = portico.server._connections
        async with asyncio.timeout(5):
            while not served.stream._withheld:  # noqa: ASYNC110 - the loop's next turns
                await asyncio.sleep(0)
        assert isinstance(served, Conversation)
        assert len(served._bytes) <= 128 * 1024
        # Nobody asks its socket over and over either, though there is something to read.
        asked: list[ClientStream] = []
        with monkeypatch.context() as watched:
            watched.setattr(ClientStream, "read_from_fd", lambda stream, _: asked.append(stream))
            for _ in range(10):
                await asyncio.sleep(0)
        assert asked == []
        go_on.set()
        assert (await client.answer()).status == 200
        for _ in range(20):
            assert (await client.answer()).status == 404
        client.send("GET", "/livez")
        assert (await client.answer()).status == 200


async def test_a_request_may_arrive_byte_by_byte(portico: Facade) -> None:
    """Headers and body."""
    async with portico.connect() as client:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
        head = f"POST {CHAT} HTTP/1.1\r\nHost: portico\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for byte in head + body:
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://portico.example:8000/v1/models", 200),
        ("HTTPS://u@[::1]/v1/models?limit=1", 200),
        ("http://portico.example/v1/nothing", 404),
        ("http://portico.example", 404),
        ("http:///v1/models", 404),
        ("ftp://portico.example/v1/models", 404),
        ("v1/models", 404),
        ("*", 404),
    ],
)
async def test_a_target_in_absolute_form_is_served(portico: Facade, target: str, status: int) -> None:
    """Clients send it to proxies, and servers must take it (RFC 9112, 3.2.2)."""
    async with portico.connect() as client:
        client.send("GET", target)
        assert (await client.answer()).status == status


@pytest.mark.parametrize("connection", [{}, {"connection": "keep-alive"}])
async def test_an_http_1_0_client_gets_a_stream_that_ends_with_the_connection(
    portico: Facade, connection: dict[str, str]
) -> None:
    """No chunked encoding; no promise to keep a connection whose end is the end of the answer."""
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True), version="1.0", **connection)
        answer = await client.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert answer.events[-1] == "[DONE]"


async def test_an_http_1_0_client_gets_a_whole_answer(portico: Facade) -> None:
    """And keeps its connection if it says so."""
    async with portico.connect() as client:
        for _ in range(2):
            client.send("POST", CHAT, ask(), version="1.0", connection="keep-alive")
            answer = await client.answer()
            assert answer.headers["connection"] == "Keep-Alive"
            assert answer.json["choices"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELO portico\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: portico\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: portico\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: portico\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: portico\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: portico\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: portico\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: portico\r\nTransfer-Encoding: chunked\r\n\r\nten\r\n",
    ],
)
async def test_what_is_no_http_is_400_with_an_error_body(portico: Facade, request_bytes: bytes) -> None:
    """No handler sees it; the connection ends, and nothing stays behind."""
    async with portico.connect() as client:
        client.writer.write(request_bytes)
        answer = await client.answer()
        assert answer.status == 400
        assert answer.error["code"] == "malformed"
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-request-id"].startswith("req_")
        assert await client.closed()
    async with asyncio.timeout(5):
        await portico.app.facade.idle()


async def test_headers_without_an_end_are_431(portico: Facade) -> None:
    """The client gets the answer although it goes on sending."""
    async with portico.connect() as client:
        client.writer.write(b"GET / HTTP/1.1\r\nHost: portico\r\nx-long: " + b"v" * 20_000_000)
        await client.writer.drain()
        answer = await client.answer()
        assert answer.status == 431
        assert answer.error["code"] == "headers_too_large"
        assert await client.closed()


async def test_a_new_connection_without_a_byte_is_closed_in_time(start: Start) -> None:
    """Nobody asked for anything, so nothing is said."""
    async with start(client_timeout=0.1) as portico, portico.connect() as client:
        assert await client.reader.read() == b""


@pytest.mark.parametrize("behind", [b"", b"\r\n"])
async def test_an_idle_connection_is_kept_for_its_own_time(start: Start, behind: bytes) -> None:
    """Which is not that of a request; an empty line behind the last one begins none."""
    async with start(client_timeout=0.2, idle=1) as portico, portico.connect() as client:
        await _once(client)
        client.writer.write(behind)
        answered = time.monotonic()
        assert await client.reader.read() == b""
        assert time.monotonic() - answered > 0.9


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("sent", [b"P", b"POST /v1/chat/completions HTTP/1.1\r\nHost: por"])
async def test_headers_that_do_not_end_are_408(start: Start, kept: bool, sent: bytes) -> None:
    """Within the client's timeout, however long a connection may be idle."""
    async with start(client_timeout=0.3, idle=3600) as portico, portico.connect() as client:
        if kept:
            await _once(client)
        client.writer.write(sent)
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert answer.headers["connection"] == "close"
        assert await client.closed()


async def _once(client: Client) -> None:
    """Ask for something on a connection that is kept."""
    client.send("GET", "/livez")
    assert (await client.answer()).status == 200


async def test_a_fault_of_our_own_before_a_handler_closes_the_connection_and_is_logged(
    portico: Facade, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; the next connection is served."""
    with monkeypatch.context() as broken:
        broken.setattr(conversation, "read_request", lambda head: 1 / 0)
        async with portico.connect() as client:
            client.send("GET", "/livez")
            assert await client.closed()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert (await portico.ask("GET", "/livez")).status == 200


async def test_answers_are_not_cached(portico: Facade) -> None:
    """No etag: the list of models is made anew for every caller."""
    answer = await portico.ask("GET", "/v1/models")
    assert "etag" not in answer.headers


async def test_a_hundred_connections_are_served_at_once(portico: Facade, gateway: FakeGateway) -> None:
    """All of them wait for the gateway together."""
    go_on = asyncio.Event()
    gateway.on_chat = [go_on, *gateway.on_chat]
    asked = [asyncio.create_task(portico.ask("POST", CHAT, ask())) for _ in range(100)]
    await gateway.received(100)
    assert (await portico.ask("GET", "/livez")).status == 200
    go_on.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}


async def test_a_facade_that_closes_leaves_no_connection_open(start: Start) -> None:
    """Idle ones, and those that are still reading what they refused."""
    async with start(body_limit=10) as portico, portico.connect() as idle, portico.connect() as refused:
        refused.send("POST", CHAT, content_length="1000")
        assert (await refused.answer()).status == 413
        portico.server.stop()
        async with asyncio.timeout(1):
            await portico.server.close_all_connections()
        assert await idle.closed()
        assert not portico.server.lingering
