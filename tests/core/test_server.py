"""The core as a server: addresses, health, reflection."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from portico.gateway import CallContext
from portico.remote import RemoteGateway
from portico.v1.gateway_pb2 import ListModelsRequest
from portico_core.server import SERVICE, Server
from tests.support.core import (
    Upstream,
    answer,
    ask,
    config,
    direct,
    served,
)
from tests.support.health import health_stub


@pytest.fixture
async def channel() -> AsyncIterator[aio.Channel]:
    """A channel to a core whose backend answers."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway, served(gateway) as channel:
        yield channel


@pytest.mark.parametrize("listen", ["127.0.0.1:0", ":0", "localhost:0"])
async def test_a_server_listens_on_a_port_of_the_machines_choice(listen: str) -> None:
    """The address that it tells is the one to dial."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        server = Server(gateway)
        (bound,) = await server.start([listen])
        host, _, port = bound.rpartition(":")
        assert port != "0"
        async with aio.insecure_channel(f"localhost:{port}" if host == "[::]" else bound) as channel:
            response = await RemoteGateway(channel).chat(ask(), CallContext(""))
        assert response.served.backend == "a"
        await server.stop(0)


async def test_a_server_listens_on_several_addresses(folder: Path) -> None:
    """A socket for the facade, a port for everybody else."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        server = Server(gateway)
        bound = await server.start([f"unix:{folder}/core.sock", "127.0.0.1:0"])
        assert bound[0] == f"unix:{folder}/core.sock"
        for address in bound:
            async with aio.insecure_channel(address) as channel:
                assert (await RemoteGateway(channel).chat(ask(), CallContext(""))).served.backend == "a"
        await server.stop(0)


async def refusal(listen: str) -> str:
    async with direct(config({"a": Upstream()})) as gateway:
        server = Server(gateway)
        with pytest.raises(OSError, match="cannot listen on") as caught:
            await server.start([listen])
        await server.stop(0)
    return str(caught.value)


async def test_a_port_in_use_is_refused() -> None:
    """Two servers do not share a port by accident."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {address}: Address already in use" in await refusal(address)


async def test_a_socket_in_use_is_refused_and_a_stale_one_is_not(folder: Path) -> None:
    """gRPC itself would take the path over from a running server."""
    address = f"unix:{folder}/core.sock"
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{folder}/core.sock")
        server = Server(gateway)
        await server.start([address])
        assert "another server does" in await refusal(address)
        async with aio.insecure_channel(address) as channel:
            assert (await RemoteGateway(channel).chat(ask(), CallContext(""))).served.backend == "a"
        await server.stop(0)


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("nonsense", "it is neither HOST:PORT nor unix:/PATH"),
        ("127.0.0.1:70000", "it is neither HOST:PORT nor unix:/PATH"),
        ("unix:", "it is neither HOST:PORT nor unix:/PATH"),
        ("unix:/nowhere/at/all.sock", "No such file or directory"),
        ("unix:/tmp/" + "x" * 120, "too long"),
        ("192.0.2.1:1", "Cannot assign requested address"),
        ("no.such.host.invalid:1", "ame or service not known"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_is_refused(listen: str, reason: str) -> None:
    """The message names the address and the reason."""
    assert reason in await refusal(listen)


async def test_health_is_told_for_the_server_and_for_the_service(channel: aio.Channel) -> None:
    """Both are SERVING, as load balancers ask for them."""
    stub = health_stub(channel)
    for service in ("", SERVICE):
        told = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert told.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_services(channel: aio.Channel) -> None:
    """grpcurl and its kin need no .proto files."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    services = [each.name async for told in call for each in told.list_services_response.service]
    assert SERVICE == "portico.v1.GatewayService"
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


async def test_requests_of_twenty_megabytes_pass(channel: aio.Channel) -> None:
    """Images travel inside of requests."""
    request = ask()
    request.params.messages[0].content = "x" * 20_000_000
    assert (await RemoteGateway(channel).chat(request, CallContext(""))).served.backend == "a"


async def test_no_call_is_lost_among_many_that_come_at_once() -> None:
    """As when all clients reconnect: gRPC, left alone, cancels some of those that wait to be taken."""
    async with direct(config({"a": Upstream()})) as gateway, served(gateway) as channel:
        core = RemoteGateway(channel)
        calls = [core.list_models(ListModelsRequest(), CallContext("")) for _ in range(3000)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert [each for each in ends if isinstance(each, BaseException)] == []
