"""A scripted gateway behind a real gRPC server."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from portico.testing.gateway import FakeGateway
from portico_core.service import add_gateway

#: Whose health a channel watches.
SERVICE = "portico.v1.GatewayService"


@dataclass(frozen=True)
class Core:
    """A running core."""

    server: aio.Server
    health: health.HealthServicer


@contextlib.asynccontextmanager
async def core(gateway: FakeGateway, listen: str) -> AsyncIterator[Core]:
    """Run a core that listens on HOST:PORT or unix:/PATH."""
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    add_gateway(gateway, server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    await healthy.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(listen)
    await server.start()
    try:
        yield Core(server, healthy)
    finally:
        await server.stop(None)
