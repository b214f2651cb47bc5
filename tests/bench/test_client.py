"""The client sees every token, however the network cuts a stream, and what is out of place."""

import asyncio
import random
from typing import Any

import pytest

from tests.bench.answers import Ask, pieces
from tests.bench.client import Client, Tally
from tests.bench.spec import Spec

TOKENS = 50


class Transport(asyncio.Transport):
    """One that takes everything."""

    def write(self, data: Any) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


def client(*, check: bool) -> tuple[Client, Tally]:
    tally = Tally(1, float("inf"))
    spec = Spec("http://127.0.0.1/v1", 1, stream=True, ask=Ask(TOKENS), check=check)
    made = Client(spec, b"", tally)
    made.connection_made(Transport())
    return made, tally


def chunked_anew(stream: bytes, dice: random.Random) -> bytes:
    """Return a stream as a proxy sends it that begins its chunks anywhere."""
    head, _, rest = stream.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    parts = [head, b"\r\n\r\n"]
    while body:
        piece = body[: dice.choice((1, 3, 40, 3000))]
        parts.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        body = body[len(piece) :]
    return b"".join([*parts, b"0\r\n\r\n"])


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("step", [1, 3, 30, 200, 2000])
@pytest.mark.parametrize("proxied", [False, True])
async def test_every_token_is_counted_once(step: int, check: bool, proxied: bool) -> None:
    for seed in range(20):
        dice = random.Random(seed)
        stream = b"".join(pieces(Ask(TOKENS)))
        if proxied:
            stream = chunked_anew(stream, dice)
        reader, tally = client(check=check)
        at = 0
        while at < len(stream):
            size = dice.randint(1, step)
            reader.data_received(stream[at : at + size])
            at += size
        reader.over.result()
        assert (tally.tokens, tally.done) == (TOKENS, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda stream: stream.replace(b"t00000020@", b"t00000021@"),
        lambda stream: stream.replace(b"t00000049@", b"t0000004"),
        lambda stream: stream.replace(b"t00000000@", b"t00000001@"),
        lambda stream: stream.replace(b" 200 OK", b" 503 No"),
    ],
)
async def test_what_is_out_of_its_place_is_an_error(change: Any) -> None:
    reader, _ = client(check=True)
    stream = change(b"".join(pieces(Ask(TOKENS))))
    for at in range(0, len(stream), 150):
        if not reader.over.done():
            reader.data_received(stream[at : at + 150])
    with pytest.raises(RuntimeError):
        reader.over.result()


async def test_who_is_refused_says_why() -> None:
    reader, _ = client(check=False)
    reader.data_received(b'HTTP/1.1 404 Not Found\r\nServer: some\r\n\r\n{"error": "no such model"}')
    with pytest.raises(RuntimeError, match=r'^answered 404 Not Found: {"error": "no such model"}$'):
        reader.over.result()
