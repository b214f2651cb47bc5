"""Counts what a request and a token cost, where times would say little: on a busy machine, in CI.

Each token is written when the one before has arrived, so that what is counted is the same from run to run
within a few hundredths.
"""

import asyncio
import contextlib
import math
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench.answers import around, end
from tests.bench.lockstep import Backend, Caller
from tests.bench.relay import Relay
from tests.bench.targets import by_rpc
from tests.support.processes import Process, process

LAYOUTS: Final = ("in process", "linked", "RPCs")

#: How often each is done before it is counted, and while it is.
_WARM: Final = 30
_TIMES: Final = 200
_TOGETHER: Final = 16


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
            target = target if layout == "linked" else by_rpc(target)
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
    """Return the counts, and what ``test_counts`` may have for limits."""
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
        # Calls of a request may grow by a tenth, of a token, where one more for each of 16 shall be seen, by
        # a twentieth: they vary by less than half of that. Writes and messages may not grow at all. Of blocks
        # a few come and go with every request; a leak is what grows with the tokens.
        growth, blocks = (1.1, 2.5) if what in ("request", "stream of one token") else (1.05, 0.5)
        values = [math.ceil(calls * growth), *(round(each + 0.1, 1) for each in once), blocks]
        yield f'    ("{layout}", "{what}"): Counts({", ".join(map(str, values))}),'
