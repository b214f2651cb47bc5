"""Real cores that listen on Unix sockets, and adapters that call them."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

from portico.adapter import Limits, UpstreamCall
from portico_adapters.remote_portico import RemotePorticoAdapter, RemotePorticoSettings
from portico_core.candidates import Candidate, Route
from portico_core.config import Backend, Config, Grpc, Timeouts
from portico_core.gateway import RoutingGateway
from portico_core.routing import Routes
from portico_core.server import Server
from tests.support.core import direct, params


@contextlib.asynccontextmanager
async def listening(settings: Config, target: str = "") -> AsyncIterator[tuple[str, RoutingGateway]]:
    """Run a core; yield where it listens, and itself."""
    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        async with direct(settings) as gateway:
            server = Server(gateway)
            (address,) = await server.start([target or f"unix:{folder}/core.sock"])
            try:
                yield address, gateway
            finally:
                await server.stop(0)


@contextlib.asynccontextmanager
async def calling(target: str, **members: Any) -> AsyncIterator[RemotePorticoAdapter]:
    """Yield an adapter for the core at ``target``; close it."""
    adapter = RemotePorticoAdapter("far", RemotePorticoSettings(target=target, **members), Limits())
    try:
        yield adapter
    finally:
        await adapter.aclose()


@contextlib.asynccontextmanager
async def far(settings: Config, **members: Any) -> AsyncIterator[RemotePorticoAdapter]:
    """Run a core and yield an adapter that calls it."""
    async with listening(settings) as (target, _), calling(target, **members) as adapter:
        yield adapter


def leading_to(
    name: str, target: str, more: Sequence[Backend] = (), models: tuple[str, ...] | None = ()
) -> Config:
    """Return a configuration with a backend ``name``, which is another core, before ``more``.

    Model ``round`` is that core's ``round``.

    ``models`` None: the other core is asked for them, from the start on.
    """
    backend = Backend(
        name=name,
        dialect="portico",
        adapter=RemotePorticoAdapter,
        settings=RemotePorticoSettings(target=target),
        timeouts=Timeouts(),
        models=models,
        place="",
    )
    backends = (backend, *more)
    routes = Routes([Route("round", (Candidate(name, "round"),))], [each.name for each in backends])
    return Config(Grpc(), backends, routes)


def call(model: str = "m", **more: Any) -> UpstreamCall:
    """Return a small call of the other core's ``model``."""
    return UpstreamCall(params("asked for"), model, request_id="req-1", **more)
