"""Processes that are killed, paused, told to stop and reloaded while calls run through them."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.doors import Door, Saw, doors, through
from tests.faults.expected import Kind
from tests.faults.scripts import TEXT
from tests.faults.server import Call
from tests.faults.stand import Half, Stand, until, upstream, watched
from tests.support.processes import Process

# Calls of each way in, streamed and not, that are under way at once.
_LOAD = 3

_SECTIONS = """\
admin: 127.0.0.1:0
timeouts: {silence: 800ms}
"""


def config(port: int, models: Sequence[str]) -> str:
    """Return a configuration in which every model has a backend of its own, which drips its answers."""
    lines = [_SECTIONS + "backends:"]
    for name in models:
        url = f"http://127.0.0.1:{port}/{name}/slow_drip/v1"
        lines.append(f'  {name}: {{dialect: openai, url: "{url}", models: [m]}}')
    return "\n".join([*lines, "models:", *(f"  {name}: {name}/m" for name in models), ""])


@dataclass
class Running:
    """A gateway whose parts may be ended."""

    stand: Stand
    upstream: Process
    file: Path
    port: int

    def calls(self, model: str) -> list[Call]:
        return self.stand.calls(model)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A gateway that has the models a and b."""
    file = tmp_path / "portico.yaml"
    with contextlib.ExitStack() as stack:
        process, ports = stack.enter_context(upstream())
        file.write_text(config(ports[""], ["a", "b"]), encoding="utf-8")
        core = stack.enter_context(core_at(tmp_path, file))
        facade = stack.enter_context(
            watched("facade", "--listen", "127.0.0.1:0", "--core", f"unix:{tmp_path}/core")
        )
        yield Running(Stand(ports[""], core, facade), process, file, ports[""])


def core_at(folder: Path, file: Path) -> contextlib.AbstractContextManager[Half]:
    """Run a core at a socket in this folder."""
    return watched("core", "--config", str(file), "--listen", f"unix:{folder}/core")


@contextlib.asynccontextmanager
async def load(running: Running) -> AsyncIterator[tuple[list[Saw], list[Saw]]]:
    """Have calls under way while the block runs, and wait for their ends; yield those of HTTP and of gRPC."""
    over_http: list[Saw] = []
    over_grpc: list[Saw] = []

    async def ask(name: str, door: Door, *, streamed: bool) -> None:
        saw = Saw()
        (over_grpc if name == "grpc" else over_http).append(saw)
        try:
            await door.ask("a", streamed=streamed, saw=saw)
        except httpx.TransportError:
            saw.failed = True

    stand = running.stand
    async with doors(stand.facade.address, stand.core.address) as ways, asyncio.TaskGroup() as tasks:
        for name, door in ways.items():
            for streamed in (False, True) * _LOAD:
                tasks.create_task(ask(name, door, streamed=streamed))
        await until(
            lambda: len(running.calls("a")) == 6 * _LOAD, lambda: f"only {running.calls('a')} have come"
        )
        # Half of the streams' callers, at the least, have had some content.
        await until(
            lambda: sum(bool(saw.text) for saw in (*over_http, *over_grpc)) >= _LOAD,
            lambda: f"no content has come: {over_http}",
        )
        async with asyncio.timeout(20):
            yield over_http, over_grpc


async def answered(running: Running, model: str) -> None:
    """Check that every way in has an answer."""
    async with doors(running.stand.facade.address, running.stand.core.address) as ways:
        saw = await asyncio.gather(*(through(door, model, streamed=True) for door in ways.values()))
    assert [each.kind for each in saw] == [Kind.ANSWER] * len(ways), saw


async def test_a_core_is_killed(running: Running, tmp_path: Path) -> None:
    """Every caller is told so, who has had content by an error behind it; the next core serves at once."""
    async with load(running) as (over_http, over_grpc):
        running.stand.core.process.popen.send_signal(signal.SIGKILL)
    for saw in (*over_http, *over_grpc):
        assert saw.kind in (Kind.ERROR, Kind.CUT), saw
        assert saw.code == "gateway_unavailable", saw
        assert saw.status == 503 or saw.kind is Kind.CUT, saw
        assert TEXT.startswith(saw.text)
    await until(lambda: all(call.ended for call in running.calls("a")), lambda: "connections are left")
    with core_at(tmp_path, running.file) as core:
        running.stand.core = core
        await answered(running, "b")
        await running.stand.quiet()


async def test_a_facade_is_killed(running: Running) -> None:
    """Its callers lose their connections, their backends' calls are left, and those of gRPC go on."""
    async with load(running) as (over_http, over_grpc):
        running.stand.facade.process.popen.send_signal(signal.SIGKILL)
    assert all(saw.failed for saw in over_http)
    assert all(saw.kind is Kind.ANSWER for saw in over_grpc)
    await until(lambda: all(call.ended for call in running.calls("a")), lambda: "connections are left")
    ends = [call.end for call in running.calls("a")]
    assert sum(end.startswith("gateway") for end in ends) == len(over_http)
    core = running.stand.core
    await until(lambda: not core.samples("portico_calls_in_flight"), lambda: "calls are left in the core")


@pytest.mark.parametrize("half", ["core", "facade"])
async def test_a_half_is_told_to_stop(half: str, running: Running) -> None:
    """What runs is answered whole, and it ends with status 0."""
    stopped: Half = getattr(running.stand, half)
    async with load(running) as (over_http, over_grpc):
        stopped.process.popen.send_signal(signal.SIGTERM)
    assert [saw.kind for saw in (*over_http, *over_grpc)] == [Kind.ANSWER] * 6 * _LOAD
    assert await asyncio.to_thread(stopped.process.popen.wait, 10) == 0


async def test_a_configuration_is_read_again(running: Running) -> None:
    """What runs is answered whole, later calls go by the new file; one with mistakes changes nothing."""
    core = running.stand.core.process
    async with load(running) as (over_http, over_grpc):
        running.file.write_text(config(running.port, ["b", "c"]), encoding="utf-8")
        core.popen.send_signal(signal.SIGHUP)
        await asyncio.to_thread(core.wait_for, "is reloaded")
    assert [saw.kind for saw in (*over_http, *over_grpc)] == [Kind.ANSWER] * 6 * _LOAD
    await answered(running, "c")
    running.file.write_text("backends: {x: {dialect: none}}", encoding="utf-8")
    core.popen.send_signal(signal.SIGHUP)
    await asyncio.to_thread(core.wait_for, "no adapter speaks")
    await answered(running, "c")
    async with doors(running.stand.facade.address, running.stand.core.address) as ways:
        saw = await through(ways["raw"], "a", streamed=False)
    assert (saw.status, saw.code) == (404, "model_not_found")
    await running.stand.quiet()


async def test_a_backend_is_paused(running: Running) -> None:
    """Its silence ends every call; the model of another backend is served once it goes on."""
    async with load(running) as (over_http, over_grpc):
        running.upstream.popen.send_signal(signal.SIGSTOP)
    running.upstream.popen.send_signal(signal.SIGCONT)
    for saw in (*over_http, *over_grpc):
        assert saw.kind in (Kind.ERROR, Kind.CUT), saw
        assert saw.code == "upstream_timeout", saw
    await answered(running, "b")
    await running.stand.quiet()


async def test_a_backend_is_killed(running: Running) -> None:
    """Every call ends with an error at once, and so does the next one."""
    async with load(running) as (over_http, over_grpc):
        running.upstream.popen.send_signal(signal.SIGKILL)
    for saw in (*over_http, *over_grpc):
        assert saw.kind in (Kind.ERROR, Kind.CUT), saw
        assert saw.code in ("upstream_error", "upstream_unreachable"), saw
    async with doors(running.stand.facade.address, running.stand.core.address) as ways:
        saw = await through(ways["raw"], "b", streamed=False)
    assert (saw.status, saw.code) == (502, "upstream_unreachable")
    await running.stand.quiet()
