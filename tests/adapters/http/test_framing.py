"""Where an answer begins and ends, whatever else a backend sends: HTTP/1.1 as RFC 9112 has it."""

import asyncio

import pytest

from portico.errors import GatewayError
from portico.testing.upstream import Upstream
from portico.testing.watch import Signs
from portico.testing.wire import CLOSE, HANG, LAST_CHUNK, Script, answer, chunk, head, streamed
from tests.adapters.http.tools import client, post

OK = answer(b"ok")

# What a backend sends -> what is read of it. The second request shows what became of the connection.
WHOLE: dict[str, Script] = {
    "interim answers before it": [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n",
        *OK,
    ],
    "its end is the connection's": [b"HTTP/1.1 200 OK\r\n\r\no", b"k", CLOSE],
    "of HTTP/1.0": [b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", CLOSE],
    "lines that end with a line feed alone": [b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"],
    "trailers, and extensions of chunks": [head(), b"2;a=b\r\nok\r\n0\r\nx-t: 1\r\n\r\n"],
    "another answer behind it": [*OK, *answer(b"never read")],
    "an offer of another protocol": [
        b"HTTP/1.1 200 OK\r\nconnection: Upgrade\r\nupgrade: h2\r\ncontent-length: 2\r\n\r\nok"
    ],
    "a farewell behind it": [*OK, b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n", CLOSE],
}


@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
async def test_an_answer_is_what_its_framing_says_and_no_more(script: Script) -> None:
    """What stands around it neither spoils it nor the next one."""
    async with Upstream(script, OK) as upstream, client(upstream.url) as http:
        assert await post(http) == b"ok"
        assert await post(http) == b"ok"


# What looks like an answer and can be read in two ways, or is cut: it is none.
BROKEN: dict[str, Script] = {
    "a length and chunks": [head(headers=[("content-length", "2")]), b"2\r\nok\r\n0\r\n\r\n"],
    "two lengths": [head(length=2, headers=[("content-length", "1")]), b"ok"],
    "a list of lengths": [
        head(headers=[("content-length", "2, 2")]).replace(b"transfer-encoding", b"x"),
        b"ok",
    ],
    "a length with a sign": [b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok"],
    "a size of a chunk in another notation": [head(), b"0x2\r\nok\r\n0\r\n\r\n"],
    "a header in a header": [b"HTTP/1.1 200 OK\r\na: b\rcontent-length: 9\r\ncontent-length: 2\r\n\r\nok"],
    "a status that is none": [b"HTTP/1.1 099 No\r\ncontent-length: 2\r\n\r\nno", *OK],
    "another protocol": [b"HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", *OK],
    "less than its length": [head(length=3), b"ok", CLOSE],
    "less than a length with a space": [b"HTTP/1.1 200 OK\r\ncontent-length : 3\r\n\r\nok", CLOSE],
    "no last chunk": [head(), b"2\r\nok\r\n", CLOSE],
    "half of a head": [b"HTTP/1.1 200 OK\r\ncontent-le", CLOSE],
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_what_is_ambiguous_or_cut_is_an_error(script: Script) -> None:
    """And never a shorter or longer answer; the next one is right."""
    async with Upstream(script, OK) as upstream, client(upstream.url) as http:
        with pytest.raises(GatewayError, match=r"not valid HTTP|broke off|without an answer"):
            await post(http)
        assert await post(http) == b"ok"


# What goes on without ever coming to a body.
ENDLESS: dict[str, Script] = {
    "a head": [b"HTTP/1.1 200 OK\r\na: ", *[b"x" * 1024] * 64, HANG],
    "interim answers": [*[b"HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" * 64] * 64, HANG],
    "trailers": [head(), b"2\r\nok\r\n0\r\na: ", *[b"x" * 1024] * 64, HANG],
    "an extension of a chunk": [head(), b"2;a=", *[b"x" * 1024] * 64, HANG],
}


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS)
async def test_what_never_comes_to_a_body_is_cut(script: Script) -> None:
    """Before it fills the memory."""
    async with Upstream(script) as upstream, client(upstream.url) as http:
        with pytest.raises(GatewayError, match="not valid HTTP"):
            await post(http)
        await upstream.closed()


async def test_a_slow_reader_holds_the_backend_back() -> None:
    """What waits for him is bounded, and comes to him whole and in order."""
    body = bytes(range(256)) * 256 * 256
    async with (
        Upstream(streamed(body, size=65536)) as upstream,
        client(upstream.url) as http,
    ):
        with await http.send("GET", "/x", {}, alive=Signs()) as found:
            first = await found.next()
            for _ in range(1000):
                await asyncio.sleep(0)
            assert sum(map(len, found._connection._pieces)) < 1024 * 1024
            assert first + await found.read() == body


async def test_many_small_pieces_are_held_back_sooner() -> None:
    """Each costs more than it holds."""
    count = 300_000
    async with (
        Upstream([head(), chunk(b"x") * count, LAST_CHUNK]) as upstream,
        client(upstream.url) as http,
    ):
        with await http.send("GET", "/x", {}, alive=Signs()) as found:
            for _ in range(1000):
                await asyncio.sleep(0)
            # One read of asyncio's brings 256 KiB at most.
            assert len(found._connection._pieces) < (256 + 64) * 1024 / len(chunk(b"x"))
            assert await found.read() == b"x" * count


async def test_a_refusal_in_mid_request_is_heard() -> None:
    """A backend that says 413 after the first part of a body need not take the rest of it."""
    writers: list[asyncio.StreamWriter] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Nothing more is read of the request.
        await reader.read(1)
        writer.write(head(413, length=2) + b"no")
        writers.append(writer)

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        sent = await http.send("POST", "/x", {}, b"x" * 64 * 1024 * 1024, alive=Signs())
        with sent as found:
            assert (found.status, await found.read()) == (413, b"no")
    writers[0].transport.abort()
    server.close()


async def test_a_backend_that_answers_before_it_is_asked_is_no_backend() -> None:
    """Such as a mail server."""
    writers: list[asyncio.StreamWriter] = []

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        writers.append(writer)

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        with pytest.raises(GatewayError, match=r"without an answer|not valid HTTP"):
            await post(http)
    writers[0].transport.abort()
    server.close()


async def test_a_get_is_repeated_when_its_kept_connection_closes() -> None:
    """It changes nothing, so the caller need not hear of it; a second close is told."""
    async with Upstream(OK, [CLOSE], OK) as upstream, client(upstream.url) as http:
        await post(http)
        with await http.send("GET", "/x", {}, alive=Signs()) as found:
            assert await found.read() == b"ok"
        assert [request.method for request in upstream.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nx: y", "a\0"])
async def test_a_header_cannot_become_two(value: str) -> None:
    """Nothing is sent."""
    async with Upstream(OK) as upstream, client(upstream.url) as http:
        with pytest.raises(GatewayError):
            await http.send("POST", "/x", {"x-a": value}, b"{}", alive=Signs())
        assert upstream.connections == 0


async def test_what_cannot_stand_in_a_request_line_is_quoted() -> None:
    """What is quoted already stays as it is."""
    async with Upstream(OK) as upstream, client(upstream.url) as http:
        await http.send("POST", "/a%3Ab c\r\nd/é?x=1&y=[2]", {}, b"{}", alive=Signs())
        assert upstream.requests[0].path == "/a%3Ab%20c%0D%0Ad/%C3%A9?x=1&y=[2]"
