"""The scripted upstream's server: runs scripts, and keeps what it saw for whoever asks ``GET /-/CASE``."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from time import monotonic
from typing import Final

from portico.testing.wire import End, Pause, Step, answer
from tests.faults.scripts import SCRIPTS, Asked

#: Faults whose connections stay open after the gateway has left.
_DEAF: Final = frozenset({"ignores_cancel"})


@dataclass
class Call:
    """A request, and what became of its connection."""

    #: ``time.monotonic()``, which all processes of a machine share.
    at: float
    streamed: bool
    #: "under way", "answered", "gateway closed", "gateway reset", "we closed" or "we reset".
    end: str = "under way"
    ended: float = 0.0
    #: Bytes that were handed to the connection.
    sent: int = 0

    def over(self, end: str) -> None:
        if self.end == "under way":
            self.end, self.ended = end, monotonic()


@dataclass
class Case:
    """All that was asked under one name."""

    calls: list[Call] = field(default_factory=list)


class Server:
    """Serves ``/CASE/FAULT/v1/…`` by the script of the fault."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""
        begun: bytes | None = b""
        with suppress(OSError, asyncio.IncompleteReadError):
            while begun is not None:
                begun = await self._exchange(begun, reader, writer)
        writer.transport.abort()

    async def _exchange(
        self, begun: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        """Serve one request that began like this; return the beginning of the next. None: there is none."""
        path, body = await _request(begun, reader)
        _, name, fault, *_ = path.split("/")
        if name == "-":
            seen = asdict(self._cases.get(fault, Case()))
            for step in answer(json.dumps(seen).encode()):
                writer.write(step)  # type: ignore[arg-type]
            return b""
        # Of names that begin so nothing is kept: a soak makes too many calls.
        case = Case() if name.startswith("_") else self._cases.setdefault(name, Case())
        asked = json.loads(body)
        call = Call(monotonic(), bool(asked.get("stream")))
        says = asked["messages"][-1]["content"]
        script = SCRIPTS[fault](Asked(len(case.calls), call.streamed, says))
        case.calls.append(call)
        # What comes meanwhile is the gateway's leaving, or in the last moment its next request.
        more = asyncio.ensure_future(reader.read(1))
        running = asyncio.ensure_future(_run(script, writer, call))
        try:
            await asyncio.wait((more, running), return_when=asyncio.FIRST_COMPLETED)
            if more.done() and not running.done() and not more.exception() and more.result():
                await asyncio.wait((running,))
            if running.done():
                running.result()
                call.over("answered")
                return more.result() or None if more.done() else b""
            call.over("gateway reset" if more.exception() else "gateway closed")
            if fault in _DEAF:
                await asyncio.Event().wait()
            return None
        except OSError:
            call.over("gateway reset")
            return None
        finally:
            running.cancel()
            # Cancelled, it has read nothing.
            more.cancel()
            await asyncio.wait((more, running))


async def _run(script: Iterable[Step], writer: asyncio.StreamWriter, call: Call) -> None:
    for step in script:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            call.sent += len(step)
            # A script without end must let the others live.
            await asyncio.sleep(0)
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif step is End.HANG:
            await asyncio.Event().wait()
        elif isinstance(step, End):
            call.over("we reset" if step is End.RESET else "we closed")
            if step is End.RESET:
                # To linger for 0 seconds means: send RST.
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
                writer.transport.abort()
            writer.close()
            raise ConnectionAbortedError


async def _request(begun: bytes, reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Return the path and the body of the next request."""
    lines = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    lengths = [line.partition(":")[2] for line in lines if line.startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0]) if lengths else 0)
    return lines[0].split(" ")[1], body
