"""One worker of ``portico serve``: a whole gateway that shares its ports with the other workers."""

import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from portico.gateway import CallContext
from portico.v1.gateway_pb2 import GetStatusRequest, GetStatusResponse
from portico_core.config import Config
from portico_core.gateway import RoutingGateway
from portico_core.reload import Reloads
from portico_core.shared_state import shared_state
from portico_core.state_store import StateStore
from portico_facade.gathering import CORE, FACADE, STATUS, leave_behind, of_all, own, state_of_all, text_of
from portico_facade.merged import merged
from portico_facade.server import stop_signals
from portico_facade.telling import ask, telling
from portico_facade.whole import Where, load, whole

# Seconds that the supervisor has to say how all workers are, for which a probe may wait.
_PATIENCE: Final = 0.7


async def work(source: Path | None, where: Where, folder: Path, *, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it."""
    supervisor = os.getppid()

    def spread() -> None:
        # The supervisor has all of its workers reload. One that is gone has left us another parent.
        if os.getppid() == supervisor:
            os.kill(supervisor, signal.SIGHUP)

    path = own(folder)
    settings, config = load(source)
    reloads = Reloads(source, lambda: load(source)[1], spread)
    texts: dict[str, Callable[[], Awaitable[bytes]]] = {}
    with stop_signals() as (stop, hurry):
        async with shared_state(state_of_all(folder)) as store, telling(path, texts):

            def make(config: Config) -> RoutingGateway:
                return Worker(config, store, folder)

            async with whole(
                settings, config, where, drain=settings.drain, hurry=hurry, reloads=reloads, make=make
            ) as running:
                running.facade.told = partial(_told, folder, running.facade.metrics.told)
                texts[STATUS] = status_of(running.core)
                texts[FACADE] = text_of(running.facade.metrics.told)
                texts[CORE] = text_of(running.core.metrics.told)
                ready(running.http)
                await stop.wait()
            leave_behind(path, {name: await texts[name]() for name in (FACADE, CORE)})


async def _told(folder: Path, own: Callable[[], Awaitable[CollectorRegistry]]) -> CollectorRegistry:
    """Return the facade's metrics: of all workers, or of this one where there is no supervisor any more."""
    try:
        return merged([(await ask(of_all(folder), FACADE)).decode()])
    except OSError:
        return await own()


class Worker(RoutingGateway):
    """One of several gateways that are one to whoever asks how it is."""

    def __init__(self, config: Config, store: StateStore, folder: Path) -> None:
        super().__init__(config, store)
        self._folder: Final = folder

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        status = await super().get_status(request, context)
        try:
            told = GetStatusResponse.FromString(await ask(of_all(self._folder), STATUS, _PATIENCE))
        except OSError:
            return status  # without the supervisor there are no others
        # Whoever asks is connected to this one.
        told.state = status.state
        return told


def status_of(core: RoutingGateway) -> Callable[[], Awaitable[bytes]]:
    """Return what writes how this process is."""

    async def status() -> bytes:
        return core.status().SerializeToString()

    return status
