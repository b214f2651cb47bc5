"""What the upstream of the benchmarks is asked for, and the bytes of its answers. Pure, but for the clock.

A token is ``t``, its number in the stream, ``@``, and the nanoseconds of the monotonic clock at which it was
written, which all processes of a machine share.
"""

import functools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_ASK: Final = re.compile(rb"bench tokens=(\d+) pace=(\d+) size=(\d+)")

_CHUNK: Final = (
    b'{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":'
)
STREAM: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
#: Length of a token without what may fill it up.
TOKEN_BYTES: Final = 29


@dataclass(frozen=True)
class Ask:
    """What is to be answered."""

    #: Of a stream.
    tokens: int = 200
    #: Milliseconds between two of them; 0: as fast as the socket takes them.
    pace: int = 0
    #: Bytes of text in an unstreamed answer, and at least in each token.
    size: int = 240

    def __str__(self) -> str:
        return f"bench tokens={self.tokens} pace={self.pace} size={self.size}"

    @staticmethod
    def found(body: bytes) -> "Ask":
        """Return what a request asks for."""
        match = _ASK.search(body)
        return Ask(*map(int, match.groups())) if match else Ask()


@functools.cache
def whole(size: int) -> bytes:
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "bench",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": ("All is well. " * (size // 13 + 1))[:size]},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 60, "total_tokens": 69},
        }
    ).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


def _event(rest: bytes) -> bytes:
    data = b"data: " + _CHUNK + rest + b"}\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


ROLE: Final = _event(b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')


@functools.cache
def around(size: int) -> tuple[bytes, bytes]:
    """Return what stands before and after a token, which is filled up to ``size`` bytes where asked to."""
    mark = b"#" * TOKEN_BYTES
    more = b" " + b"x" * (size - TOKEN_BYTES - 1) if size > TOKEN_BYTES else b""
    before, _, after = _event(
        b'[{"index":0,"delta":{"content":"' + mark + more + b'"},"finish_reason":null}]'
    ).partition(mark)
    return before, after


@functools.cache
def end(tokens: int) -> bytes:
    usage = b'[],"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}' % (tokens, tokens + 9)
    stop = _event(b'[{"index":0,"delta":{},"finish_reason":"stop"}]')
    return stop + _event(usage) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def pieces(ask: Ask) -> Iterator[bytes]:
    """Yield what is written, piece by piece."""
    # The size of an unstreamed answer by default is none for a token.
    before, after = around(0 if ask.size == Ask.size else ask.size)
    yield STREAM + ROLE
    for number in range(ask.tokens):
        yield b"%bt%08d@%019d%b" % (before, number, time.monotonic_ns(), after)
    yield end(ask.tokens)
