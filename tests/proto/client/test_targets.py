"""Where a client dials: one core, several, and over TLS."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from portico.client import UnavailableError
from portico.remote import channel_options, options_for
from portico.v1.gateway_pb2 import GetStatusResponse
from portico.v1.gateway_pb2_grpc import add_GatewayServiceServicer_to_server
from tests.proto.client.callers import Dial
from tests.proto.client.service import Service

SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)


@contextlib.asynccontextmanager
async def core(name: str, state: int = SERVING, tls: bool = False) -> AsyncIterator[int]:
    """Serve a core that says its name as its version; yield its port."""
    server = aio.server()
    servicer = health.HealthServicer()
    await servicer.set("portico.v1.GatewayService", state)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    service = Service()
    service.script = [GetStatusResponse(version=name)]
    add_GatewayServiceServicer_to_server(service, server)
    if tls:
        port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def test_calls_are_spread_over_several_cores_but_not_to_one_that_drains(dial: Dial) -> None:
    """Every address of a target with a scheme is used in turn, as its health allows."""
    async with core("a") as a, core("b") as b, core("draining", NOT_SERVING) as draining:
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in (a, b, draining))
        async with dial(target, timeout=10) as client:
            # The first calls go to whichever connection is there first.
            seen: set[str] = set()
            async with asyncio.timeout(10):
                while len(seen) < 2:
                    seen.add((await client.status()).version)
            assert Counter([(await client.status()).version for _ in range(20)]) == {"a": 10, "b": 10}


def test_a_bare_host_is_one_core() -> None:
    """`localhost` has an address of either family, which are one and the same core."""
    assert options_for("localhost:50051") == options_for("unix:/run/core.sock") == channel_options()
    assert len(options_for("dns:///core.internal:50051")) == len(channel_options()) + 1


async def test_credentials_are_used(dial: Dial) -> None:
    credentials = grpc.local_channel_credentials()
    async with core("a", tls=True) as port, dial(f"127.0.0.1:{port}", tls=credentials) as client:
        assert (await client.status()).version == "a"


async def test_tls_does_not_fall_back_to_plain_text(dial: Dial) -> None:
    async with core("a") as port, dial(f"127.0.0.1:{port}", tls=True, timeout=10) as client:
        with pytest.raises(UnavailableError):
            await client.status()
