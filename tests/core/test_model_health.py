"""grpc.health.v1 tells of models what the breakers of their candidates say."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2

from portico.errors import GatewayError, from_upstream
from portico.gateway import CallContext
from portico_core.gateway import RoutingGateway
from portico_core.resilience import breaker
from portico_core.server import Server
from tests.support.core import Upstream, answer, ask, config, direct, served
from tests.support.health import health_stub

Status = health_pb2.HealthCheckResponse
REFUSED = from_upstream(402, "no money")
MODELS: dict[str, Sequence[str]] = {"m": ["a/x", "b/x"], "only-a": ["a/x"]}


def request(model: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=f"model/{model}")


async def check(channel: aio.Channel, model: str) -> Any:
    return (await health_stub(channel).Check(request(model))).status


async def fail(gateway: RoutingGateway, model: str) -> None:
    with pytest.raises(GatewayError):
        await gateway.chat(ask(model), CallContext(""))


async def test_a_model_is_served_while_a_candidate_may_be_tried() -> None:
    """By whichever name it is asked for; a name that nobody serves is not known."""
    well = Upstream([[answer()], [REFUSED]])
    settings = config({"a": Upstream([[REFUSED]]), "b": well}, MODELS)
    async with direct(settings) as gateway, served(gateway) as channel:
        assert await check(channel, "m") == await check(channel, "only-a") == Status.SERVING
        await fail(gateway, "only-a")
        assert await check(channel, "only-a") == await check(channel, "a/x") == Status.NOT_SERVING
        assert await check(channel, "m") == await check(channel, "b/x") == Status.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await check(channel, "nobody")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_who_watches_is_told_of_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker opens, its time is over, it closes; a reload takes the name away, and gives it back."""
    upstream = Upstream([[REFUSED], [REFUSED], [answer()]])
    settings = config({"a": upstream}, {"m": ["a/x"]})
    async with direct(settings) as gateway, served(gateway) as channel, asyncio.timeout(20):
        watch = health_stub(channel).Watch(request("m"))
        assert (await watch.read()).status == Status.SERVING
        monkeypatch.setattr(breaker, "_QUOTA", 0.05)
        await fail(gateway, "m")
        assert (await watch.read()).status == Status.NOT_SERVING
        assert (await watch.read()).status == Status.SERVING
        monkeypatch.setattr(breaker, "_QUOTA", 100.0)
        await fail(gateway, "m")
        assert (await watch.read()).status == Status.NOT_SERVING
        await gateway.chat(ask("m"), CallContext(""))
        assert (await watch.read()).status == Status.SERVING
        await gateway.reload(config({"a": upstream}, {"n": ["a/x"]}))
        assert (await watch.read()).status == Status.SERVICE_UNKNOWN
        await gateway.reload(settings)
        assert (await watch.read()).status == Status.SERVING
        watch.cancel()


async def test_a_server_that_leaves_says_so_of_its_models() -> None:
    """To who watches, before it refuses calls."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        server = Server(gateway)
        (address,) = await server.start(["127.0.0.1:0"])
        async with aio.insecure_channel(address) as channel, asyncio.timeout(20):
            watch = health_stub(channel).Watch(request("m"))
            assert (await watch.read()).status == Status.SERVING
            stopping = asyncio.create_task(server.stop(5))
            assert (await watch.read()).status == Status.NOT_SERVING
            watch.cancel()
            await stopping


async def test_nobody_is_left_who_watches() -> None:
    """A caller that is gone costs nothing any more."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway, served(gateway) as channel:
        watch = health_stub(channel).Watch(request("m"))
        await watch.read()
        watch.cancel()
        async with asyncio.timeout(10):
            while gateway.health.watched:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
