"""Has a gateway go over to what its configuration says: when the file changes, on SIGHUP, on request."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from portico.config import ConfigError
from portico.v1.admin_pb2 import ReloadResponse
from portico_core.changes import changes
from portico_core.config import Config
from portico_core.gateway import RoutingGateway

_log: Final = logging.getLogger("portico.reload")

# Seconds between two looks at the file. A change counts once a second look finds the same: some editors
# write in several steps.
_LOOK: Final = 1.0

# When it was written, its size, and which file it is.
Stamp: TypeAlias = tuple[int, int, int]

#: Goes over, and tells what is different then. Raises ConfigError; nothing has changed then.
Reload: TypeAlias = Callable[[], Awaitable[ReloadResponse]]


@dataclass(frozen=True, slots=True)
class Reloads:
    """How a gateway comes to another configuration while it runs."""

    #: The file that is watched. None: there is none, which leaves SIGHUP and requests.
    path: Path | None
    #: Reads it; raises ConfigError.
    load: Callable[[], Config]
    #: Called when a request had this process go over: has the other processes of the gateway do so too.
    spread: Callable[[], None] = lambda: None


@contextlib.asynccontextmanager
async def reloading(gateway: RoutingGateway, reloads: Reloads) -> AsyncIterator[Reload]:
    """Reload when the file changes or SIGHUP comes, while the block runs; yield what does so on request.

    Where the file has mistakes nothing changes, and the log says why.
    """
    one_by_one = asyncio.Lock()

    async def again() -> ReloadResponse:
        # Who reads first must not go over last.
        async with one_by_one:
            return await _reload(gateway, reloads.load)

    async def everywhere() -> ReloadResponse:
        told = await again()
        reloads.spread()
        return told

    def asked() -> Awaitable[ReloadResponse]:
        running.add(task := asyncio.create_task(everywhere()))
        task.add_done_callback(running.discard)
        # Who asks and hangs up does not stop it halfway.
        return asyncio.shield(task)

    hangup = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    running: set[asyncio.Task[Any]] = set()
    running.add(asyncio.create_task(_watch(reloads.path, _stamp(reloads.path), again, hangup)))
    try:
        yield asked
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGHUP)


async def _watch(
    path: Path | None,
    known: Stamp | None,
    again: Reload,
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
        # The log has said why not.
        with contextlib.suppress(Exception):
            await again()


async def _reload(gateway: RoutingGateway, load: Callable[[], Config]) -> ReloadResponse:
    try:
        # Reading waits for the disk; making adapters needs this loop.
        config = await asyncio.to_thread(load)
        told = changes(gateway.config, config)
        await gateway.reload(config)
    except ConfigError as error:
        _log.error("the configuration is not reloaded, and the old one goes on: %s", error)
        raise
    except Exception:
        _log.exception("the configuration is not reloaded, and the old one goes on")
        raise
    _log.info("the configuration is reloaded")
    return told


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
