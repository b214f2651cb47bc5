"""One worker of ``portico serve``: a whole gateway that shares its ports with the other workers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

from portico_core.reload import reloading
from portico_facade.merged import merged
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
    settings, config = load(source)
    with stop_signals() as (stop, hurry):
        async with (
            whole(settings, config, where, drain=settings.drain, hurry=hurry) as running,
            reloading(running.core, source, lambda: load(source)[1]),
        ):
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


async def gathered(folder: Path, workers: int, name: str) -> CollectorRegistry:
    """Return the sums of what all workers tell under a name."""
    texts = await asyncio.gather(*(ask(own(folder, number), name) for number in range(workers)))
    return merged(texts)
