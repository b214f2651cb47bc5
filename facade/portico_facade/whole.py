"""Facade and core in one process, on one loop: the facade calls the core as an object."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from portico.config import Mistakes, Source
from portico_core import config as core_config
from portico_core.admin import admin
from portico_core.gateway import RoutingGateway
from portico_core.reload import Reloads, reloading
from portico_core.server import Server
from portico_facade import config as facade_config
from portico_facade.app import make_app
from portico_facade.listen import inherited, listening
from portico_facade.server import drained, serving
from portico_facade.state import Facade


def load(source: Source | None) -> tuple[facade_config.Settings, core_config.Config]:
    """Read the configuration for both halves; raise ConfigError with the mistakes of both."""
    mistakes = Mistakes()
    with mistakes:
        settings = facade_config.load(source, os.environ)
    with mistakes:
        config = core_config.load(source, os.environ)
    mistakes.report()
    return settings, config


@dataclass(frozen=True, slots=True)
class Where:
    """The addresses to listen on, as HOST:PORT or unix:/PATH."""

    http: str
    #: None: no such port.
    grpc: str | None
    #: Of the core's metrics, HOST:PORT. None: no such port.
    admin: str | None
    #: What HTTP accepts from, where another process listens at its address for this one.
    sockets: tuple[socket.socket, ...] = ()
    #: Other processes listen on the same port of gRPC.
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """A gateway that runs."""

    #: Where it listens, with the ports that were taken.
    http: str
    grpc: str | None
    facade: Facade
    core: RoutingGateway


@contextlib.asynccontextmanager
async def whole(
    settings: facade_config.Settings,
    config: core_config.Config,
    where: Where,
    *,
    drain: float,
    hurry: asyncio.Event | None = None,
    reloads: Reloads | None = None,
    make: Callable[[core_config.Config], RoutingGateway] = RoutingGateway,
) -> AsyncIterator[Whole]:
    """Run both halves while the block does, then drain them for ``drain`` seconds or until ``hurry``.

    ``reloads``: how the core comes to another configuration; None: not at all. Raises OSError where an
    address cannot be listened on. ``make`` makes the core.
    """
    hurry = hurry or asyncio.Event()
    core = make(config)
    async with (
        contextlib.aclosing(core),
        admin(core.metrics.told, where.admin),
        reloading(core, reloads) if reloads else contextlib.nullcontext() as reload,
    ):
        await core.start()
        app = make_app(core, settings)
        calls = Server(core, shared=where.shared, reload=reload) if where.grpc else None
        # Of ``drain``: who fails to start, or is cancelled, waits for nobody.
        left = 0.0
        try:
            grpc_bound = (await calls.start([where.grpc]))[0] if calls and where.grpc else None
            opening = inherited(where.sockets, where.http) if where.sockets else listening(where.http)
            async with serving(app, opening) as (server, http_bound):
                yield Whole(http_bound, grpc_bound, app.facade, core)
                end = time.monotonic() + drain
                # HTTP first, as its requests are calls of the core.
                await drained(app, server, drain, hurry)
                left = max(0.0, end - time.monotonic())
        finally:
            if calls:
                await calls.stop(left, hurry=hurry)
