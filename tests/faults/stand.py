"""The upstream, a core and a facade as processes, and what can be asked of them."""

import asyncio
import contextlib
import json
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.request import urlopen

from portico.client import Client
from tests.faults.cases import Case, config
from tests.faults.server import Call
from tests.support.gateway import serve
from tests.support.processes import Process, process

#: Core and facade as two processes, and one worker that is both.
LAYOUTS: Final = ("halves", "worker")

# Seconds that anything may take to be over on a machine with other work.
_PATIENCE = 10.0


@dataclass
class Half:
    """A running core or facade, watched."""

    process: Process
    #: Where it serves, and where it shows its metrics.
    address: str
    metrics: str
    #: The port that tells of its tasks; 0: none does.
    _tasks: int

    def tasks(self) -> Counter[str]:
        """Return what its tasks run."""
        if not self._tasks:
            return Counter()
        with socket.create_connection(("127.0.0.1", self._tasks), timeout=10) as asked:
            return Counter(asked.makefile("r").read().splitlines())

    def samples(self, *names: str) -> dict[str, float]:
        """Return the samples of metrics that are not zero: as they are written, with their labels."""
        with urlopen(f"http://{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        # A parser would take longer than the gateway does.
        found = [line.rpartition(" ") for line in lines if line.startswith(names)]
        return {name: float(value) for name, _, value in found if float(value)}

    @property
    def pid(self) -> int:
        return self.process.popen.pid

    def sockets(self) -> int:
        """Return how many sockets it has open."""
        found = 0
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += str(each.readlink()).startswith("socket:")
        return found

    def memory(self) -> int:
        """Return its resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * 4096


@dataclass
class Stand:
    """What runs."""

    upstream: int
    core: Half
    facade: Half

    def calls(self, name: str) -> list[Call]:
        """Return the calls that the upstream got under a case's name, as it sees them now."""
        with urlopen(f"http://127.0.0.1:{self.upstream}/-/{name}", timeout=10) as answer:
            seen: dict[str, Any] = json.loads(answer.read())
        return [Call(**each) for each in seen["calls"]]

    def attempts(self) -> dict[str, int]:
        """Return how many attempts at each backend the core has begun."""
        with Client(self.core.address) as client:
            return {each.name: each.attempts for each in client.status().backends}

    def busy(self) -> dict[str, float]:
        """Return what is under way, as core and facade tell it."""
        found = self.core.samples("portico_calls_in_flight", "portico_attempts_in_flight")
        requests = self.facade.samples("portico_http_requests_in_flight")
        # One is the question itself.
        return found | {name: value for name, value in requests.items() if value > 1}

    async def quiet(self) -> float:
        """Wait until nothing is under way in the gateway; return the seconds that it took."""
        return await until(lambda: not self.busy(), lambda: f"still under way: {self.busy()}")


async def until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> float:
    """Wait until something holds; return the seconds that it took."""
    began = monotonic()
    while not await asyncio.to_thread(holds):
        assert monotonic() - began < _PATIENCE, otherwise()
        await asyncio.sleep(0.02)
    return monotonic() - began


async def as_before(half: Half, tasks: Counter[str], sockets: int | None = None) -> None:
    """Wait until a half has no more tasks than it had, nor sockets where their number is given."""

    def left() -> Counter[str]:
        more = half.tasks() - tasks
        if sockets is not None:
            more["sockets"] = max(0, half.sockets() - sockets)
        return +more

    await until(lambda: not left(), lambda: f"left: {left()}")


@contextlib.contextmanager
def watched(*arguments: str) -> Iterator[Half]:
    """Run ``portico core`` or ``portico facade`` while the block runs."""
    with process(sys.executable, "-m", "tests.faults.watched", *arguments) as started:
        tasks = int(started.wait_for("tasks are told at").split()[-1])
        address = started.wait_for("is ready on").split()[-1]
        yield Half(started, address, _metrics(started) or address, tasks)


def _metrics(process: Process) -> str:
    """Return the address of the admin port that a process has told of; empty where it has not."""
    shown = [line for line in process.lines if "metrics are at" in line]
    return shown[0].split("http://")[1].removesuffix("/metrics") if shown else ""


@contextlib.contextmanager
def upstream() -> Iterator[tuple[Process, dict[str, int]]]:
    """Run the scripted upstream while the block runs; yield its ports by fault too, "" for all others."""
    with process(sys.executable, "-m", "tests.faults.upstream") as started:
        said = started.wait_for("upstream is ready").split()
        yield started, {"": int(said[4]), "refused": int(said[6]), "blackhole": int(said[8])}


@contextlib.contextmanager
def started(folder: Path, config: str, layout: str = "halves") -> Iterator[tuple[Half, Half]]:
    """Run a core with this configuration, and a facade, while the block runs; or what is both."""
    file = folder / "portico.yaml"
    file.write_text(config, encoding="utf-8")
    if layout == "worker":
        with serve(file) as whole:
            metrics = _metrics(whole.process) or whole.http
            yield Half(whole.process, whole.grpc, metrics, 0), Half(whole.process, whole.http, whole.http, 0)
        return
    with (
        watched("core", "--config", str(file), "--listen", "127.0.0.1:0") as core,
        watched("facade", "--listen", "127.0.0.1:0", "--core", core.address) as facade,
    ):
        yield core, facade


@contextlib.contextmanager
def stand(folder: Path, cases: Iterable[Case], layout: str = "halves") -> Iterator[Stand]:
    """Run a gateway over these cases."""
    with upstream() as (_, ports), started(folder, config(cases, ports), layout) as (core, facade):
        yield Stand(ports[""], core, facade)
