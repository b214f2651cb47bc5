"""The scripted upstream does what its scripts say and sees what clients do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from portico.testing.upstream import Upstream, refusing
from portico.testing.wire import (
    CLOSE,
    HANG,
    LAST_CHUNK,
    RESET,
    Pause,
    Script,
    answer,
    chunk,
    head,
    pieces,
    streamed,
)

GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def client(upstream: Upstream) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_scripts_are_served_in_order_and_the_last_one_for_good() -> None:
    """One connection, three requests: first script, second script, second script."""
    async with Upstream(answer(b"one"), answer(b"two")) as upstream, client(upstream) as (reader, writer):
        for body in (b"one", b"two", b"two"):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(3) == body
        assert [request.connection for request in upstream.requests] == [0, 0, 0]
        assert upstream.connections == 1


async def test_requests_are_recorded() -> None:
    """Method, path, headers in lower case and the body, plain or in chunked transfer coding."""
    async with Upstream(answer(b"")) as upstream, client(upstream) as (_, writer):
        writer.write(b'POST /a?b=1 HTTP/1.1\r\nX-A: 1 \r\nContent-Length: 7\r\n\r\n{"a":1}')
        request = await upstream.received()
        assert (request.method, request.path, request.headers["x-a"]) == ("POST", "/a?b=1", "1")
        assert request.json() == {"a": 1}
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
        assert (await upstream.received(2)).json() == [1, 2]


async def test_a_script_may_depend_on_the_request() -> None:
    """A function in the place of a script is asked for one."""
    upstream = Upstream(lambda request: answer(request.path.encode()))
    async with upstream, client(upstream) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"/v1/models")).endswith(b"\r\n\r\n/v1/models")


async def test_steps_wait_for_events_and_call_functions() -> None:
    """Nothing after an event is written before it is set; a function tells how far the script is."""
    go_on, waiting = asyncio.Event(), asyncio.Event()
    script: Script = [b"a", Pause(0.001), waiting.set, go_on, b"b", CLOSE]
    async with Upstream(script) as upstream, client(upstream) as (reader, writer):
        writer.write(GET)
        await waiting.wait()
        assert await reader.readexactly(1) == b"a"
        go_on.set()
        assert await reader.read() == b"b"


async def test_a_reset_is_a_reset() -> None:
    """RESET breaks off, and so does break_off in the middle of silence."""
    async with Upstream([head(), RESET], [head(), HANG]) as upstream:
        async with client(upstream) as (reader, writer):
            writer.write(GET)
            with pytest.raises(ConnectionResetError):
                await reader.read()
        async with client(upstream) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            upstream.break_off()
            with pytest.raises(ConnectionResetError):
                await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await client(upstream).__aenter__()


@pytest.mark.parametrize("script", [[HANG], [head(), HANG], [head(), *[chunk(b"x" * 4096)] * 4096]])
async def test_a_clients_close_is_seen_whatever_the_script_does(script: Script) -> None:
    """In silence, and while the client does not read what is written."""
    async with Upstream(script) as upstream:
        async with client(upstream) as (_, writer):
            writer.write(GET)
            await upstream.received()
            assert upstream.open_connections == 1
        await upstream.closed(0)
        assert upstream.open_connections == 0


async def test_refusing_refuses() -> None:
    """The URL belongs to nobody else and nobody listens there."""
    with refusing() as url, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


def test_bodies_are_cut_into_pieces() -> None:
    """Whole, in pieces of a size, and not at all when empty."""
    assert pieces(b"abcde", None) == [b"abcde"]
    assert pieces(b"abcde", 2) == [b"ab", b"cd", b"e"]
    assert pieces(b"", None) == []
    assert streamed(b"abc", size=2)[1:] == [b"2\r\nab\r\n", b"1\r\nc\r\n", LAST_CHUNK]
