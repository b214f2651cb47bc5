"""A backend that costs next to nothing: POST any path, answered with a completion or a stream.

``python -m tests.bench.upstream [PORT]`` prints the port it listens on, which others of its kind may share:
a write costs about 5 us of the kernel's time, so that one process makes 150,000 tokens a second. What it
answers stands in the request's messages, as ``Ask`` writes it, so that it passes any gateway. Each event goes
to the socket in a write of its own: unpaced in turn with those of the other streams, as fast as their sockets
take them.
"""

import asyncio
import heapq
import os
import re
import resource
import sys
from collections import deque
from typing import Final, cast

from tests.bench.answers import Ask, pieces, whole

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAMED: Final = re.compile(rb'"stream": *true')

#: Seconds: the resolution of the loop's timers, and the pause before a full socket is tried again.
_TICK: Final = 0.001


class _Stream:
    """An answer under way."""

    def __init__(self, fd: int, ask: Ask) -> None:
        self._fd = fd
        self._events = pieces(ask)
        self._left = b""
        #: Seconds between two tokens, and when the next one is due.
        self.pace = ask.pace / 1000
        self.due = 0.0
        #: All of it has been written, or nobody takes it any more.
        self.over = False

    def write(self) -> bool:
        """Write the next event, or what was left of the last; return whether the socket took all of it."""
        data = self._left or next(self._events, b"")
        if not data:
            self.over = True
            return True
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.over = True
            return True
        self._left = data[sent:]
        return not self._left


class _Pump:
    """Writes the events of all streams, each when it is due."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unpaced: deque[_Stream] = deque()
        self._paced: list[tuple[float, int, _Stream]] = []
        self._count = 0
        self._runs = self._ticks = False

    def add(self, stream: _Stream) -> None:
        """Begin a stream: its head and its first token go at once."""
        stream.write()
        self._go_on(stream)

    def _go_on(self, stream: _Stream) -> None:
        if stream.pace and not stream.due:
            stream.write()
            # Phases differ, as those of real streams do: the golden ratio spreads them evenly.
            stream.due = self._loop.time() + self._count * 0.6180339887 % 1 * stream.pace
        if stream.pace:
            stream.due += stream.pace
            self._later(stream, stream.due)
            return
        self._unpaced.append(stream)
        if not self._runs:
            self._runs = True
            self._loop.call_soon(self._round)

    def _later(self, stream: _Stream, when: float) -> None:
        self._count += 1
        heapq.heappush(self._paced, (when, self._count, stream))
        if not self._ticks:
            self._ticks = True
            self._loop.call_later(_TICK, self._tick)

    def _round(self) -> None:
        """Write one event of each unpaced stream."""
        ready = self._unpaced
        for _ in range(len(ready)):
            stream = ready.popleft()
            if stream.over:
                continue
            if stream.write():
                ready.append(stream)
            else:
                self._later(stream, self._loop.time() + _TICK)
        self._runs = bool(ready)
        if ready:
            self._loop.call_soon(self._round)

    def _tick(self) -> None:
        """Write what is due."""
        now = self._loop.time()
        while self._paced and self._paced[0][0] <= now:
            stream = heapq.heappop(self._paced)[2]
            if stream.over:
                continue
            if stream.write():
                self._go_on(stream)
            else:
                self._later(stream, now + _TICK)
        self._ticks = bool(self._paced)
        if self._paced:
            self._loop.call_later(max(_TICK, self._paced[0][0] - now), self._tick)


class _Connection(asyncio.Protocol):
    def __init__(self, pump: _Pump) -> None:
        self._pump = pump
        self._buffer = b""
        self._needs = 0
        self._stream: _Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._fd = transport.get_extra_info("socket").fileno()

    def connection_lost(self, _: Exception | None) -> None:
        if self._stream is not None:
            # Before the descriptor is another's.
            self._stream.over = True

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) < self._needs:
            return
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            self._needs = len(head) + 4 + size
            return
        self._needs, self._buffer = 0, rest[size:]
        body = rest[:size]
        if _STREAMED.search(body):
            self._stream = _Stream(self._fd, Ask.found(body))
            self._pump.add(self._stream)
        else:
            self._transport.write(whole(Ask.found(body).size))


async def _main(port: int) -> None:
    pump = _Pump()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(pump), "127.0.0.1", port, backlog=4096, reuse_port=True
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
