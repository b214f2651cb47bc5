"""A backend that costs next to nothing: POST any path, answered with a fixed completion or stream.

``python -m tests.bench.upstream`` prints the port it listens on. A request body with ``"stream":true``
gets TOKENS events, one socket write each, as fast as they go; the header x-pace: MS spaces them.
"""

import asyncio
import re
from typing import Final, cast

TOKENS: Final = 200

_HEAD: Final = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":'
)
_WHOLE: Final = (
    _HEAD + b'[{"index":0,"message":{"role":"assistant","content":"' + b"All is well. " * 20 + b'"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}'
)
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_WHOLE)
) + _WHOLE


def _event(body: bytes) -> bytes:
    data = b"data: " + _HEAD.replace(b"completion", b"completion.chunk") + body + b"}\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


_STREAM: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_ROLE: Final = _event(b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')
_TOKEN: Final = _event(b'[{"index":0,"delta":{"content":" token"},"finish_reason":null}]')
_END: Final = (
    _event(b'[{"index":0,"delta":{},"finish_reason":"stop"}]')
    + _event(b'[],"usage":{"prompt_tokens":9,"completion_tokens":200,"total_tokens":209}')
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        if re.search(rb'"stream": *true', rest[:size]):
            pace = re.search(rb"x-pace: *(\d+)", head, re.IGNORECASE)
            self._transport.write(_STREAM + _ROLE)
            self._token(TOKENS, int(pace[1]) / 1000 if pace else 0.0, self._loop.time())
        else:
            self._transport.write(_ANSWER)

    def _token(self, left: int, pause: float, due: float) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(_END)
            return
        self._transport.write(_TOKEN)
        # By way of the loop, so that the tokens of many streams interleave as real ones do.
        self._loop.call_at(due + pause, self._token, left - 1, pause, due + pause)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
