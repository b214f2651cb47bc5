"""The metrics of workers that come, hang and go, as sums."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from portico_facade.gathering import CORE, Gathering, leave_behind
from portico_facade.telling import telling


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder with a name that is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="p-") as made:
        yield Path(made)


class Worker:
    """What one process tells, in the place of one."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"worker-{number}.sock"
        self._registry = CollectorRegistry()
        self.counter = Counter("calls", "Calls.", registry=self._registry)
        self.hangs = False

    def text(self) -> bytes:
        return generate_latest(self._registry)

    async def told(self) -> bytes:
        if self.hangs:
            await asyncio.sleep(60)
        return self.text()

    @contextlib.asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        async with telling(self.path, {CORE: self.told}):
            yield


async def calls(gathering: Gathering) -> float | None:
    return (await gathering()).get_sample_value("calls_total")


async def test_what_a_worker_counted_outlives_it(folder: Path) -> None:
    """To the last when it says so, else as it was last asked."""
    gathering, drains, dies, stays = (Gathering(folder, CORE), *(Worker(folder, each) for each in (1, 2, 3)))
    async with stays.runs():
        stays.counter.inc(1)
        async with drains.runs(), dies.runs():
            drains.counter.inc(10)
            dies.counter.inc(100)
            assert await calls(gathering) == 111
            drains.counter.inc(10)
            dies.counter.inc(100)
        leave_behind(drains.path, {CORE: drains.text()})
        assert await calls(gathering) == 121
        stays.counter.inc(1)
        assert await calls(gathering) == 122


async def test_a_worker_that_hangs_counts_as_before(folder: Path) -> None:
    """And once, when it is back."""
    gathering, hangs, well = Gathering(folder, CORE), Worker(folder, 1), Worker(folder, 2)
    async with hangs.runs(), well.runs():
        hangs.counter.inc(5)
        well.counter.inc(1)
        assert await calls(gathering) == 6
        hangs.hangs = True
        well.counter.inc(1)
        async with asyncio.timeout(4):
            assert await calls(gathering) == 7
        hangs.hangs = False
        hangs.counter.inc(1)
        assert await calls(gathering) == 8


async def test_several_who_ask_at_a_time_are_told_the_same(folder: Path) -> None:
    gathering, goes = Gathering(folder, CORE), Worker(folder, 1)
    async with goes.runs():
        goes.counter.inc(3)
        assert await asyncio.gather(*(calls(gathering) for _ in range(4))) == [3] * 4
    assert await asyncio.gather(*(calls(gathering) for _ in range(4))) == [3] * 4


async def test_a_worker_whom_too_many_ask_has_not_ended(folder: Path) -> None:
    """While it hangs those who ask wait at its socket, which holds so many; then it is back."""
    gathering, worker = Gathering(folder, CORE), Worker(folder, 1)
    with socket.socket(socket.AF_UNIX) as crowded, contextlib.ExitStack() as crowd:
        crowded.bind(str(worker.path))
        crowded.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                asks = crowd.enter_context(socket.socket(socket.AF_UNIX))
                asks.setblocking(False)
                asks.connect(str(worker.path))
        assert await calls(gathering) is None
    worker.path.unlink()
    async with worker.runs():
        worker.counter.inc(1)
        assert await calls(gathering) == 1
