"""Counts what a request and a token cost, where times would say little: on a busy machine, in CI.

A client and a backend in lockstep: each token is written when the one before has arrived, so that nothing is
coalesced by chance, and what is counted is the same from run to run within a few hundredths.
"""

import asyncio
import contextlib
import math
import re
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench.load import Spec
from tests.bench.relay import Relay
from tests.bench.upstream import ROLE, STREAM, around, end, whole
from tests.support.processes import Process, process

LAYOUTS: Final = ("in process", "linked", "RPCs")

_PATIENCE: Final = 30
#: How often each is done before it is counted, and while it is.
_WARM: Final = 30
_TIMES: Final = 200
_TOGETHER: Final = 16
#: Where Linux has the data segments that a connection received, in struct tcp_info.
_SEGMENTS_AT: Final = 152


@dataclass(frozen=True)
class Counts:
    """What one of something costs."""

    #: Of Python and C functions, on the event loops of all processes.
    calls: float
    #: Segments that the client got: one for each write.
    writes: float
    #: Segments that the backend got.
    asks: float
    #: Messages of gRPC from the core to the facade, and the other way.
    down: float
    up: float
    #: Blocks of memory that are still held afterwards.
    blocks: float


Measured: TypeAlias = dict[tuple[str, str], Counts]
#: What a snapshot sums up: all that ``Counts`` has.
Totals: TypeAlias = tuple[float, ...]


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


@dataclass(frozen=True)
class Bench:
    """A gateway that counts, between a client and a backend."""

    gateway: Sequence[Process]
    caller: Caller
    backend: Backend
    relay: Relay | None

    async def request(self) -> None:
        """Ask for a whole answer."""
        self.caller.ask(stream=False)
        await self.caller.answered()

    async def stream(self) -> None:
        """Ask for a stream of one token."""
        async with self.streaming() as write:
            await write(1)

    @contextlib.asynccontextmanager
    async def streaming(self) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Ask for a stream; yield what has the backend write so many tokens at once, and waits for them."""
        self.caller.ask(stream=True)
        writer = await self.backend.begun()
        numbers = iter(range(sys.maxsize))
        before, after = around(0)

        async def write(tokens: int) -> None:
            made = [b"t%08d@" % next(numbers) for _ in range(tokens)]
            writer.write(b"".join(b"%b%b%019d%b" % (before, each, 0, after) for each in made))
            await self.caller.until(made[-1])
            await self.caller.until(b"\n\n")

        yield write
        writer.write(end(1))
        await self.caller.until(b"data: [DONE]\n\n")
        await self.caller.until(b"0\r\n\r\n")

    async def totals(self) -> Totals:
        """Return all counts so far."""
        calls = blocks = 0
        for each in self.gateway:
            each.popen.send_signal(signal.SIGUSR1)
            line = await asyncio.to_thread(each.wait_for, "counted")
            calls += int(line.split()[1])
            blocks += int(line.split()[2])
        messages: Mapping[str, int] = self.relay.messages if self.relay else {}
        ways = (messages.get("down", 0), messages.get("up", 0))
        return calls, self.caller.segments, self.backend.segments, *ways, blocks

    async def counted(self, once: Callable[[], Awaitable[None]]) -> Counts:
        """Do something often; return what it costs once."""
        for _ in range(_WARM):
            await once()
        before = await self.totals()
        for _ in range(_TIMES):
            await once()
        after = await self.totals()
        return Counts(*((late - early) / _TIMES for early, late in zip(before, after, strict=True)))


@contextlib.asynccontextmanager
async def bench(layout: str) -> AsyncIterator[Bench]:
    """Run a layout."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portico-counts-")))
        backend = Backend()
        server = await stack.enter_async_context(
            await asyncio.start_server(backend.serve, "127.0.0.1", 0, limit=2**20)
        )
        stack.push_async_callback(backend.aclose)
        port = server.sockets[0].getsockname()[1]
        config = folder / "portico.yaml"
        config.write_text(
            f"backends: {{mock: {{dialect: openai, url: 'http://127.0.0.1:{port}/v1', "
            "models: [bench]}}\nmodels: {bench: mock/bench}\n"
        )

        async def start(*arguments: str) -> tuple[Process, str]:
            """Run a part; return it and its address."""
            command = (sys.executable, "-m", "tests.bench.counted", *arguments)
            part = stack.enter_context(process(*command, env={"LOG_LEVEL": "warning"}))
            return part, (await asyncio.to_thread(part.wait_for, "ready on")).split()[-1]

        relay = None
        if layout == "in process":
            front, address = await start(str(config))
            parts = [front]
        else:
            core, core_address = await start("core", "--config", str(config), "--listen", "127.0.0.1:0")
            relay = Relay(core_address)
            target = await stack.enter_async_context(relay.listening())
            # What may be several cores is asked by RPC.
            target = target if layout == "linked" else f"ipv4:{target}"
            front, address = await start("facade", "--core", target, "--listen", "127.0.0.1:0")
            parts = [core, front]
        listening = address.rpartition(":")
        reader, writer = await asyncio.open_connection(listening[0], int(listening[2]), limit=2**20)
        stack.callback(writer.close)
        caller = Caller(f"http://{address}/v1", reader, writer)
        made = Bench(parts, caller, backend, relay)
        if relay is not None and layout == "linked":
            # Both links have said hello.
            await relay.passed("down", 2)
        yield made


async def counts_of(layout: str) -> dict[str, Counts]:
    """Return what requests and tokens cost in a layout."""
    async with bench(layout) as made:
        found = {
            "request": await made.counted(made.request),
            "stream of one token": await made.counted(made.stream),
        }
        async with made.streaming() as write:
            found["token"] = await made.counted(lambda: write(1))
            found[f"{_TOGETHER} tokens at once"] = await made.counted(lambda: write(_TOGETHER))
        return found


def measured() -> Measured:
    """Return all counts."""
    return {
        (layout, what): counts
        for layout in LAYOUTS
        for what, counts in asyncio.run(counts_of(layout)).items()
    }


def table(found: Measured) -> str:
    """Return the counts, and as what ``test_counts`` may have for limits: a tenth more."""
    names = [each.name for each in fields(Counts)]
    lines = [f"{'':36}" + "".join(f"{name:>10}" for name in names)]
    for (layout, what), counts in found.items():
        values = "".join(f"{getattr(counts, name):10.2f}" for name in names)
        lines.append(f"{f'{layout}, {what}':36}{values}")
    return "\n".join([*lines, "", *limits(found)])


def limits(found: Measured) -> Iterator[str]:
    """Yield lines for ``test_counts.LIMITS``."""
    for (layout, what), counts in found.items():
        calls, *once, _ = (getattr(counts, each.name) for each in fields(Counts))
        # Calls may grow by a tenth, writes and messages not at all. Of blocks a few come and go with every
        # request; a leak is what grows with the tokens.
        blocks = 2.5 if what in ("request", "stream of one token") else 0.5
        values = [math.ceil(calls * 1.1), *(round(each + 0.1, 1) for each in once), blocks]
        yield f'    ("{layout}", "{what}"): Counts({", ".join(map(str, values))}),'
