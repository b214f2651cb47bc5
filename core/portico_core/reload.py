"""Watches a configuration file, and has a gateway go over to what it says when it changes."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, TypeAlias

from portico.config import ConfigError
from portico_core.config import Config
from portico_core.gateway import RoutingGateway

_log: Final = logging.getLogger("portico.reload")

# Seconds between two looks at the file. A change counts once a second look finds the same: some editors
# write in several steps.
_LOOK: Final = 1.0

# When it was written, its size, and which file it is.
Stamp: TypeAlias = tuple[int, int, int]


@contextlib.asynccontextmanager
async def reloading(
    gateway: RoutingGateway, path: Path | None, load: Callable[[], Config]
) -> AsyncIterator[None]:
    """Reload when the file changes or SIGHUP comes, while the block runs.

    ``load`` reads it and raises ConfigError: then nothing changes, and the log says why. ``path``: None
    leaves SIGHUP alone.
    """
    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    task = asyncio.create_task(_watch(gateway, path, _stamp(path), load, hangup))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGHUP)


async def _watch(
    gateway: RoutingGateway,
    path: Path | None,
    known: Stamp | None,
    load: Callable[[], Config],
    hangup: asyncio.Event,
) -> None:
    seen = known
    while True:
        try:
            async with asyncio.timeout(None if path is None else _LOOK):
                await hangup.wait()
        except TimeoutError:
            before, seen = seen, _stamp(path)
            if seen in (known, None) or seen != before:
                continue
        hangup.clear()
        known = seen = _stamp(path)
        await _reload(gateway, load)


async def _reload(gateway: RoutingGateway, load: Callable[[], Config]) -> None:
    try:
        # Reading waits for the disk; making adapters needs this loop.
        config = await asyncio.to_thread(load)
        await gateway.reload(config)
    except ConfigError as error:
        _log.error("the configuration is not reloaded, and the old one goes on: %s", error)
    except Exception:
        _log.exception("the configuration is not reloaded, and the old one goes on")
    else:
        _log.info("the configuration is reloaded")


def _stamp(path: Path | None) -> Stamp | None:
    """Return what differs when a file has changed. None: there is none."""
    if path is None:
        return None
    try:
        # The file that a link leads to: Kubernetes changes a ConfigMap by changing the link.
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
