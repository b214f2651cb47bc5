"""A client and a backend in lockstep: they write when told to, and nothing is coalesced by chance."""

import asyncio
import contextlib
import re
import socket
import struct
from typing import Final

from tests.bench.answers import ROLE, STREAM, whole
from tests.bench.spec import Spec

_PATIENCE: Final = 30
#: Where Linux has the data segments that a connection received, in struct tcp_info.
_SEGMENTS_AT: Final = 152


class Backend:
    """A backend that writes when it is told to."""

    def __init__(self) -> None:
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._streams: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    @property
    def segments(self) -> int:
        """What came over all connections so far."""
        return sum(_segments(each) for each in self._writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on one connection."""
        self._writers[writer] = asyncio.current_task()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if re.search(rb'"stream": *true', body):
                    writer.write(STREAM + ROLE)
                    self._streams.put_nowait(writer)
                else:
                    writer.write(whole(240))
        # Kept open until ``aclose``, as its count is asked for.

    async def begun(self) -> asyncio.StreamWriter:
        """Return where the tokens of the next stream go."""
        return await asyncio.wait_for(self._streams.get(), _PATIENCE)

    async def aclose(self) -> None:
        """Close all connections."""
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*filter(None, self._writers.values()))


class Caller:
    """A client with one connection."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._requests = {stream: Spec(url, 1, stream=stream).request() for stream in (False, True)}

    @property
    def segments(self) -> int:
        """What came so far."""
        return _segments(self._writer)

    def ask(self, *, stream: bool) -> None:
        """Send a request."""
        self._writer.write(self._requests[stream])

    async def until(self, end: bytes) -> None:
        """Read up to something."""
        await asyncio.wait_for(self._reader.readuntil(end), _PATIENCE)

    async def answered(self) -> None:
        """Read an unstreamed answer."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), _PATIENCE)
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        assert head.startswith(b"HTTP/1.1 200")
        assert length
        await self._reader.readexactly(int(length[1]))


def _segments(writer: asyncio.StreamWriter) -> int:
    connection = writer.get_extra_info("socket")
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SEGMENTS_AT + 4)
    return int(struct.unpack_from("=I", info, _SEGMENTS_AT)[0])
