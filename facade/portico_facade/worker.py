"""One worker of ``portico serve``: a whole gateway that shares its ports with the other workers."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

from portico_core.reload import Reloads
from portico_facade.merged import born, merged, totals
from portico_facade.server import stop_signals
from portico_facade.telling import ask, telling
from portico_facade.whole import Where, load, whole

#: What a worker tells of itself, and the supervisor of all.
FACADE: Final = "facade"
CORE: Final = "core"


def own(folder: Path, number: int) -> Path:
    """Return where a worker tells its metrics."""
    return folder / f"worker-{number}.sock"


def of_all(folder: Path) -> Path:
    """Return where the supervisor tells the metrics of all workers."""
    return folder / "metrics.sock"


async def work(
    source: Path | None, where: Where, folder: Path, number: int, *, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it."""
    supervisor = os.getppid()

    def spread() -> None:
        # The supervisor has all of its workers reload. One that is gone has left us another parent.
        if os.getppid() == supervisor:
            os.kill(supervisor, signal.SIGHUP)

    settings, config = load(source)
    reloads = Reloads(source, lambda: load(source)[1], spread)
    with stop_signals() as (stop, hurry):
        async with whole(
            settings, config, where, drain=settings.drain, hurry=hurry, reloads=reloads
        ) as running:
            texts = {FACADE: text_of(running.facade.metrics.told), CORE: text_of(running.core.metrics.told)}

            async def told() -> CollectorRegistry:
                return merged([await ask(of_all(folder), FACADE)])

            running.facade.told = told
            async with telling(own(folder, number), texts):
                ready(running.http)
                await stop.wait()


def text_of(told: Callable[[], Awaitable[CollectorRegistry]]) -> Callable[[], Awaitable[bytes]]:
    """Return what writes metrics in Prometheus' text format."""

    async def text() -> bytes:
        # Thousands of lines take milliseconds, which the calls under way must not wait for.
        return await asyncio.to_thread(generate_latest, await told())

    return text


class Gathering:
    """What all workers tell under one name, those too that have ended: a sum must not fall when one dies.

    What a worker counted since it was last asked is lost with it.
    """

    def __init__(self, folder: Path, workers: int, name: str) -> None:
        self._paths = [own(folder, number) for number in range(workers)]
        self._name = name
        self._last = [""] * workers
        self._past = ""

    async def __call__(self) -> CollectorRegistry:
        """Return the sums."""
        texts = await asyncio.gather(*(ask(path, self._name) for path in self._paths))
        for number, text in enumerate(texts):
            last = self._last[number]
            if last and born(text) != born(last):
                self._past = totals(generate_latest(merged([self._past, last])).decode())
            self._last[number] = text
        return merged([self._past, *texts])
