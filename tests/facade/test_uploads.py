"""Request bodies: too large, too slow, wrongly packed; and that the client really gets the answer."""

import asyncio
import gzip
import tracemalloc

import pytest

from portico.testing.gateway import FakeGateway
from portico_facade.request import read_request
from portico_facade.upload import Upload
from tests.facade.clients import Facade
from tests.facade.conftest import Start
from tests.facade.messages import ask

CHAT = "/v1/chat/completions"
MB = 1_000_000


@pytest.mark.parametrize("length", ["1001", "1000000000000"])
async def test_a_body_that_says_it_is_too_large_is_refused_unread(
    start: Start, gateway: FakeGateway, length: str
) -> None:
    """413 at once: the client has sent no byte of it."""
    async with start(body_limit=1000) as portico, portico.connect() as client:
        client.send("POST", CHAT, content_length=length)
        answer = await client.answer()
        assert answer.status == 413
        assert answer.error["code"] == "request_too_large"
        assert "1,000 bytes" in answer.error["message"]
        assert answer.headers["connection"] == "close"
        assert await client.closed()
    assert gateway.calls == []


async def test_a_client_that_sends_all_before_it_reads_gets_the_413(start: Start) -> None:
    """As most HTTP clients do. Closing a socket with unread bytes in it would throw the answer away."""
    async with start(body_limit=1000) as portico, portico.connect() as client:
        client.send("POST", CHAT, b"x" * (30 * MB))
        await client.writer.drain()
        assert (await client.answer()).status == 413
        assert await client.closed()


async def test_a_chunked_body_is_refused_once_it_is_too_large(start: Start) -> None:
    """Whatever is still to come: nobody knows how long it is."""
    async with start(body_limit=1000) as portico, portico.connect() as client:
        client.send("POST", CHAT, transfer_encoding="chunked")
        client.writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        client.writer.write(b"1\r\nx\r\n")
        answer = await client.answer()
        assert answer.status == 413
        assert answer.headers["connection"] == "close"


async def test_a_chunked_body_within_the_limit_is_taken(portico: Facade) -> None:
    """However it is cut."""
    async with portico.connect() as client:
        client.send("POST", CHAT, transfer_encoding="chunked")
        for byte in b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}':
            client.writer.write(b"1\r\n%c\r\n" % byte)
        client.writer.write(b"0\r\n\r\n")
        assert (await client.answer()).status == 200


def test_a_body_in_tiny_pieces_takes_no_more_memory_than_a_whole_one() -> None:
    """However a hostile client cuts it."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"
    upload = Upload(read_request(head), 400_000)
    data = bytes(range(256))
    tracemalloc.start()
    try:
        for number in range(200_000):
            # Objects of their own, as a socket makes them.
            at = number % 127 * 2
            upload.take(data[at : at + 2])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 500_000
    body = upload.body()
    assert len(body) == 400_000
    assert body[:508] == data[:254] * 2


async def test_a_client_that_asks_before_it_sends_gets_the_413_and_no_leave(start: Start) -> None:
    """Expect: 100-continue."""
    async with start(body_limit=1000) as portico, portico.connect() as client:
        client.send("POST", CHAT, expect="100-continue", content_length="1001")
        assert (await client.answer()).status == 413
        assert await client.closed()


async def test_a_client_that_asks_before_it_sends_gets_leave(portico: Facade) -> None:
    """Expect: 100-continue for a body within the limit."""
    async with portico.connect() as client:
        client.send("POST", CHAT, expect="100-continue", content_length="66")
        assert (await client.head()).status == 100
        client.writer.write(b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}')
        assert (await client.answer()).status == 200


async def test_an_http_1_0_client_gets_one_answer_whatever_it_expects(portico: Facade) -> None:
    """It would take the leave for the answer."""
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(), version="1.0", expect="100-continue")
        assert (await client.answer()).status == 200


async def test_the_limit_itself_is_allowed(start: Start) -> None:
    """A body of exactly that many bytes is read, and found to be no JSON."""
    async with start(body_limit=1000) as portico:
        assert (await portico.ask("POST", CHAT, b"x" * 1000)).status == 400


async def test_what_unpacks_to_too_much_is_413(start: Start) -> None:
    """A bomb is not unpacked to its end."""
    async with start(body_limit=100_000) as portico:
        bomb = gzip.compress(b"0" * (50 * MB))
        assert len(bomb) < 100_000
        answer = await portico.ask("POST", CHAT, bomb, content_encoding="gzip")
        assert answer.status == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"more", gzip.compress(b"{}") * 2],
    ids=["empty", "plain", "cut", "trailed", "twice"],
)
async def test_a_body_that_is_not_the_gzip_it_says_is_400(portico: Facade, body: bytes) -> None:
    """One whole member, and nothing after it."""
    answer = await portico.ask("POST", CHAT, body, content_encoding="gzip")
    assert answer.status == 400
    assert "gzip" in answer.error["message"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
async def test_any_other_encoding_is_415(portico: Facade, encoding: str) -> None:
    """The message says what is taken."""
    answer = await portico.ask("POST", CHAT, ask(), content_encoding=encoding)
    assert answer.status == 415
    assert answer.error["code"] == "unsupported_content_encoding"


@pytest.mark.parametrize("sent", [b"", b'{"model": "m"'])
@pytest.mark.parametrize("framing", [{"content_length": "1000"}, {"transfer_encoding": "chunked"}])
async def test_an_upload_that_stalls_is_408(start: Start, framing: dict[str, str], sent: bytes) -> None:
    """Nothing, or something and then nothing, for client_timeout."""
    async with start(client_timeout=0.1) as portico, portico.connect() as client:
        client.send("POST", CHAT, **framing)
        client.writer.write(
            sent if "content_length" in framing else b"%x\r\n%b\r\n" % (len(sent), sent) * bool(sent)
        )
        answer = await client.answer()
        assert answer.status == 408
        assert answer.error["code"] == "request_timeout"
        assert answer.headers["connection"] == "close"
        assert await client.closed()


async def test_an_upload_that_drips_is_408(start: Start) -> None:
    """A byte now and then keeps no connection busy for ever."""
    async with start(client_timeout=0.2) as portico, portico.connect() as client:
        client.send("POST", CHAT, content_length="1000")

        async def drip() -> None:
            while True:
                client.writer.write(b"x")
                # The pace is what is tested.
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        answer = await client.answer()
        dripping.cancel()
        assert answer.status == 408


async def test_an_upload_that_keeps_coming_is_waited_for(start: Start) -> None:
    """Slow is not stuck: it takes several times client_timeout."""
    async with start(client_timeout=0.5) as portico, portico.connect() as client:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        client.send("POST", CHAT, content_length=str(60 * 50_000))
        for _ in range(60):
            client.writer.write(b" " * 50_000)
            await client.writer.drain()
            # The pace is what is tested.
            await asyncio.sleep(0.02)
        assert (await client.answer()).status == 400
        assert loop.time() - begun > 1


async def test_a_client_that_leaves_while_it_sends_is_forgotten(
    portico: Facade, gateway: FakeGateway
) -> None:
    """Nothing of its request is left behind."""
    async with portico.connect() as client:
        client.send("POST", CHAT, b'{"model"', content_length="1000")
        # The answer to another connection's request comes after this one's headers were read.
        await portico.ask("GET", "/livez")
        assert portico.app.facade.running
    async with asyncio.timeout(5):
        await portico.app.facade.idle()
    assert gateway.calls == []
