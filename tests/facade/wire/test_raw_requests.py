"""Requests byte by byte: what is served, and what is refused since two parsers might read it differently."""

import asyncio
import socket

import pytest

from portico.testing.gateway import FakeGateway
from tests.facade.clients import Client, Facade
from tests.facade.messages import response

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
MEASURED = LENGTH + b"\r\n" + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, BODY[:9], len(BODY) - 9, BODY[9:])
NEXT = GET + b"\r\n"

#: What is sent, and the statuses of the answers. The next request follows, and is served.
SERVED: dict[str, tuple[bytes, list[int]]] = {
    "no body": (NEXT, [200]),
    "a measured body": (CHAT + MEASURED, [200]),
    "a chunked body": (CHAT + CHUNKED + b"\r\n" + CHUNKS, [200]),
    "sizes with zeros ahead": (CHAT + CHUNKED + b"\r\n0003F\r\n" + BODY + b"\r\n000\r\n\r\n", [200]),
    "an encoding in capitals": (CHAT + b"TRANSFER-ENCODING:\tCHUNKED \r\n\r\n" + CHUNKS, [200]),
    "an empty chunked body": (GET + CHUNKED + b"\r\n0\r\n\r\n", [200]),
    "a body of a GET": (GET + b"Content-Length: 5\r\n\r\nhello", [200]),
    "a length with zeros ahead": (CHAT + b"Content-Length: 0%d\r\n\r\n" % len(BODY) + BODY, [200]),
    "empty lines first": (b"\r\n\r\n" + NEXT, [200]),
    "an empty line after the body": (CHAT + MEASURED + b"\r\n", [200]),
    "spaces around a value": (b"GET /livez HTTP/1.1\r\nHost:\t a \t\r\nX:\r\n\r\n", [200]),
    "a value that is no ASCII": (GET + b"X: \xff\tb\r\n\r\n", [200]),
    "a wish to upgrade": (
        CHAT + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n" + MEASURED,
        [200],
    ),
    "a wish to upgrade, in chunks": (
        CHAT + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED + b"\r\n" + CHUNKS,
        [200],
    ),
    "a tunnel": (b"CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n", [404]),
    "a method of another protocol": (b"PLAY /livez HTTP/1.1\r\nHost: a\r\n\r\n", [405]),
    "a later minor version": (b"GET /livez HTTP/1.2\r\nHost: a\r\n\r\n", [200]),
    "a wait for leave": (CHAT + b"Expect: 100-Continue\r\n" + MEASURED, [100, 200]),
    "another expectation": (CHAT + b"Expect: more\r\n" + MEASURED, [200]),
}

#: What is refused with 400, and nothing after it is read.
REFUSED: dict[str, bytes] = {
    "two spaces": b"GET  /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space after the version": b"GET /livez HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a space first": b" GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab": b"GET\t/livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /li vez HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b"G(T /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /livez\r\n\r\n",
    "version 0.9": b"GET /livez HTTP/0.9\r\n\r\n",
    "version 1.10": b"GET /livez HTTP/1.10\r\nHost: a\r\n\r\n",
    "HTTP in small letters": b"GET /livez http/1.1\r\nHost: a\r\n\r\n",
    "another protocol": b"SOURCE /livez ICE/1.0\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the beginning of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "line feeds alone": b"GET /livez HTTP/1.1\nHost: a\n\n",
    "a line feed in the head": GET + b"X: b\nY: c\r\n\r\n",
    "a line feed at the end": GET + b"\n" + NEXT,
    "a request inside one": b"GET /livez HTTP/1.1\r\nHost: a\n\nGET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    "a carriage return in a value": GET + b"X: a\rY: b\r\n\r\n",
    "NUL in a value": GET + b"X: a\x00\r\n\r\n",
    "NUL in a name": GET + b"X\x00: a\r\n\r\n",
    "a control in a value": GET + b"X: \x7f\r\n\r\n",
    "a folded line": GET + b"X: a\r\n b\r\n\r\n",
    "a folded first line": b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n",
    "a space before the colon": b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
    "a space in a name": GET + b"X Y: b\r\n\r\n",
    "no name": GET + b": b\r\n\r\n",
    "a name that is no ASCII": GET + b"X\xff: b\r\n\r\n",
    "a host with a user": b"GET /livez HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "a length and an encoding": CHAT + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "an encoding and a length": CHAT + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "both, and a wish to upgrade": CHAT
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    + LENGTH
    + CHUNKED
    + b"\r\n"
    + CHUNKS,
    "one length twice": CHAT + LENGTH + MEASURED,
    "a list of lengths": CHAT + b"Content-Length: 1, 1\r\n\r\n1",
    "a length with a sign": CHAT + b"Content-Length: +1\r\n\r\n1",
    "a length in hexadecimals": CHAT + b"Content-Length: 0x1\r\n\r\n1",
    "a length in foreign digits": CHAT + b"Content-Length: \xd9\xa1\r\n\r\n1",
    "no length": CHAT + b"Content-Length:\r\n\r\n",
    "a length of 26 digits": CHAT + b"Content-Length: " + b"9" * 26 + b"\r\n\r\n",
    "another encoding": CHAT + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "chunked, and then another": CHAT + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": CHAT + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "nearly chunked": CHAT + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "an odd space before chunked": CHAT + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "an empty encoding": CHAT + b"Transfer-Encoding:\r\n\r\n" + CHUNKS,
    "an extension of a chunk": CHAT + CHUNKED + b"\r\n1;a=b\r\nx\r\n0\r\n\r\n",
    "a space after a size": CHAT + CHUNKED + b"\r\n1 \r\nx\r\n0\r\n\r\n",
    "a size with a sign": CHAT + CHUNKED + b"\r\n-1\r\n",
    "a size with a prefix": CHAT + CHUNKED + b"\r\n0x1\r\nx\r\n0\r\n\r\n",
    "a size with an underscore": CHAT + CHUNKED + b"\r\n1_0\r\n" + BODY,
    "a size without an end": CHAT + CHUNKED + b"\r\n" + b"0" * 18,
    "a size of 16 digits": CHAT + CHUNKED + b"\r\n" + b"f" * 16 + b"\r\n",
    "line feeds between chunks": CHAT + CHUNKED + b"\r\n1\nx\n0\n\n",
    "a chunk that goes on": CHAT + CHUNKED + b"\r\n1\r\nxx\r\n0\r\n\r\n",
    "a chunk without a size": CHAT + CHUNKED + b"\r\n\r\nx\r\n0\r\n\r\n",
    "a trailer": CHAT + CHUNKED + b"\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n",
}

AT_ONCE = pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])


@pytest.fixture(autouse=True)
def answers(gateway: FakeGateway) -> None:
    gateway.on_chat = [response()]


@AT_ONCE
@pytest.mark.parametrize("case", SERVED)
async def test_what_is_http_is_served(portico: Facade, case: str, at_once: bool) -> None:
    """And nothing of it is taken for the next request."""
    raw, statuses = SERVED[case]
    async with portico.connect() as client:
        await _send(client, raw, at_once)
        assert [await _status(client) for _ in statuses] == statuses
        await _send(client, NEXT, at_once)
        assert await _status(client) == 200


@AT_ONCE
@pytest.mark.parametrize("case", REFUSED)
async def test_what_may_be_read_in_two_ways_is_refused(
    portico: Facade, gateway: FakeGateway, case: str, at_once: bool
) -> None:
    """400 in OpenAI's form, and the connection ends: what follows may be anything."""
    async with portico.connect() as client:
        await _send(client, REFUSED[case], at_once)
        answer = await client.answer()
        assert (answer.status, answer.error["code"]) == (400, "malformed")
        assert answer.headers["connection"] == "close"
        assert await client.closed()
    assert gateway.calls == []
    async with asyncio.timeout(5):
        await portico.app.facade.idle()


async def test_it_does_not_matter_where_requests_are_cut(portico: Facade) -> None:
    """In two at every byte: heads, bodies, and the next request."""
    raw = CHAT + CHUNKED + b"\r\n" + CHUNKS + CHAT + MEASURED + NEXT
    for end in range(1, len(raw)):
        async with portico.connect() as client:
            client.writer.write(raw[:end])
            # What comes first is read first: the next is answered after it.
            await portico.ask("GET", "/livez")
            client.writer.write(raw[end:])
            assert [await _status(client) for _ in range(3)] == [200, 200, 200]


async def test_a_head_of_64_kib_is_the_most(portico: Facade) -> None:
    """One byte more is 431, whether its end has come or not."""
    room = 64 * 1024 - len(GET + b"X: \r\n\r\n")
    for size, status in ((room, 200), (room + 1, 431)):
        async with portico.connect() as client:
            client.writer.write(GET + b"X: " + b"v" * size + b"\r\n\r\n")
            assert await _status(client) == status


async def _send(client: Client, raw: bytes, at_once: bool) -> None:
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(raw), len(raw) if at_once else 1):
        client.writer.write(raw[start : start + len(raw)] if at_once else raw[start : start + 1])
        # The facade runs in this loop: it reads before the next byte is sent.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def _status(client: Client) -> int:
    async with asyncio.timeout(5):
        # A head that says 100 has no body.
        answer = await client.head()
        if answer.status != 100:
            await client.reader.readexactly(int(answer.headers["content-length"]))
    return answer.status
