"""Connections that end, or that are used again, at the wrong time."""

import asyncio
from collections.abc import Callable

import pytest

from portico.adapter import Limits
from portico.errors import GatewayError
from portico.testing.upstream import Upstream
from portico.testing.watch import Signs
from portico.testing.wire import HANG, answer, head
from portico_adapters._http import opening
from tests.adapters.http.tools import client, end_tcp, post, server_tls, serving, trusting_tls

OK = answer(b"ok")

# More than sockets and buffers hold.
LARGE = b"x" * 16 * 1024 * 1024


async def test_what_was_not_read_of_an_answer_is_never_read_of_the_next() -> None:
    """All of the first had come when its reader left."""
    alive = Signs()
    async with Upstream(answer(b"x" * 65536), OK) as upstream, client(upstream.url) as http:
        with await http.send("GET", "/x", {}, alive=alive) as found:
            while not found._connection._whole:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
        assert await post(http) == b"ok"


async def test_a_refused_upload_ends_though_the_backend_takes_nothing_more() -> None:
    """It says so and ends its side; what is still to be sent is not waited for."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 413 Too Large\r\n\r\nno")
        writer.write_eof()

    async with (
        serving(refuse) as url,
        client(url) as http,
        asyncio.timeout(5),
    ):
        with await http.send("POST", "/x", {}, LARGE, alive=Signs()) as found:
            assert (found.status, await found.read()) == (413, b"no")


async def test_a_backend_that_ends_its_side_in_mid_request_has_broken_off() -> None:
    """At once, though it takes nothing more."""

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write_eof()

    async with serving(end) as url, client(url) as http, asyncio.timeout(5):
        with pytest.raises(GatewayError, match="without an answer"):
            await post(http, LARGE)


async def test_a_request_goes_on_below_an_answer_that_has_begun() -> None:
    """Unless that is a refusal. Afterwards the connection serves the next one."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for size in (len(LARGE), 2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head(length=2))
            await reader.readexactly(size)
            writer.write(b"ok")

    async with serving(echo) as url, client(url, Limits(connections=1)) as http, asyncio.timeout(5):
        assert await post(http, LARGE) == b"ok"
        assert await post(http) == b"ok"


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(("end", "whole"), [(close, True), (end_tcp, False)], ids=["TLS", "TCP alone"])
async def test_an_answer_that_ends_with_its_connection_ends_with_its_tls(
    end: Callable[[asyncio.StreamWriter], None], whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only TCP ends, somebody on the way may have cut it."""
    monkeypatch.setattr(opening, "tls", trusting_tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")
        await writer.drain()
        end(writer)

    async with serving(serve, server_tls()) as url, client(url) as http:
        if whole:
            assert await post(http) == b"ok"
        else:
            with pytest.raises(GatewayError, match="in the middle of its answer"):
                await post(http)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_cancelling_at_any_step_leaves_nothing_open(
    secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a socket nor a place among the connections is lost."""
    monkeypatch.setattr(opening, "tls", trusting_tls)
    tls = server_tls() if secure else None
    async with Upstream(OK, tls=tls) as upstream, client(upstream.url, Limits(connections=1)) as http:
        for steps in range(60):
            call = asyncio.create_task(post(http))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            await http.aclose()
        async with asyncio.timeout(5):
            await upstream.closed()
            assert await post(http) == b"ok"


async def test_a_call_that_waits_for_an_answer_can_be_cancelled_at_its_bound() -> None:
    """The one that waits for its connection gets it."""
    async with Upstream([HANG], OK) as upstream, client(upstream.url, Limits(connections=1)) as http:
        first, second = asyncio.create_task(post(http)), asyncio.create_task(post(http))
        await upstream.received()
        first.cancel()
        assert await second == b"ok"
