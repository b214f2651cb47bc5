"""A relay between facade and core that counts the messages of gRPC which pass it (HTTP/2, RFC 9113)."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from portico.testing.watch import Watch

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEAD: Final = 9
_MESSAGE_HEAD: Final = 5
_DATA: Final = 0


class Messages:
    """Counts the messages of one direction."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self._buffer = b""
        # Of each stream, what is not yet a whole message.
        self._begun: dict[int, bytes] = {}

    def feed(self, data: bytes) -> None:
        """Take what passes."""
        self._buffer = (self._buffer + data).removeprefix(_PREFACE)
        while len(self._buffer) >= _FRAME_HEAD:
            end = _FRAME_HEAD + int.from_bytes(self._buffer[:3])
            if len(self._buffer) < end:
                return
            kind, stream = self._buffer[3], int.from_bytes(self._buffer[5:9])
            if kind == _DATA:
                # gRPC pads nothing.
                self._take(stream, self._buffer[_FRAME_HEAD:end])
            self._buffer = self._buffer[end:]

    def _take(self, stream: int, data: bytes) -> None:
        data = self._begun.get(stream, b"") + data
        while len(data) >= _MESSAGE_HEAD:
            end = _MESSAGE_HEAD + int.from_bytes(data[1:_MESSAGE_HEAD])
            if len(data) < end:
                break
            self.count += 1
            self.bytes += end
            data = data[end:]
        self._begun[stream] = data


class Relay:
    """Passes connections on to a core."""

    def __init__(self, core: str) -> None:
        self._host, _, self._port = core.rpartition(":")
        self._watch = Watch()
        self._directions: list[tuple[str, Messages]] = []
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    @property
    def messages(self) -> Counter[str]:
        """The messages that went ``up`` to the core and ``down`` to the facade."""
        found: Counter[str] = Counter()
        for way, seen in self._directions:
            found[way] += seen.count
        return found

    async def passed(self, way: str, messages: int) -> None:
        """Wait until so many messages have gone a way."""
        await self._watch.until(lambda: self.messages[way] >= messages, f"{messages} messages {way}")

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Relay while the block runs; yield the address for the facade."""
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            try:
                yield f"{host}:{port}"
            finally:
                for writer in self._open:
                    writer.close()
                await asyncio.gather(*filter(None, self._open.values()))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, int(self._port))
        self._open |= {writer: asyncio.current_task(), far_writer: None}
        await asyncio.gather(self._copy("up", reader, far_writer), self._copy("down", far_reader, writer))

    async def _copy(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Messages()
        self._directions.append((way, seen))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                seen.feed(data)
                self._watch.changed()
                writer.write(data)
                await writer.drain()
        writer.close()
