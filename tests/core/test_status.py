"""How the gateway and its backends are said to be doing."""

import asyncio

import pytest

import portico
from portico.errors import GatewayError, invalid_request, upstream_silent
from portico.gateway import CallContext, Gateway
from portico.v1.gateway_pb2 import GetStatusRequest, GetStatusResponse, ListModelsRequest
from portico.v1.models_pb2 import Model
from portico.v1.status_pb2 import GatewayState
from portico_core.gateway import RoutingGateway
from tests.support.core import BINDINGS, FOREVER, Upstream, answer, ask, config, direct


async def status(gateway: Gateway) -> GetStatusResponse:
    return await gateway.get_status(GetStatusRequest(), CallContext(""))


@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_status_tells_version_models_and_backends(binding: str) -> None:
    """Before any call the backends have no history."""
    settings = config({"a": Upstream(models=[Model(id="one")]), "b": Upstream()})
    async with BINDINGS[binding](settings) as gateway:
        await gateway.list_models(ListModelsRequest(), CallContext(""))
        told = await status(gateway)
    assert told.state == GatewayState.GATEWAY_STATE_SERVING
    assert told.version == portico.__version__
    assert told.uptime_seconds > 0
    assert list(told.models) == ["m", "a/one"]
    assert [(each.name, each.dialect) for each in told.backends] == [("a", "scripted"), ("b", "scripted")]
    assert not told.backends[0].HasField("latency_ms")


async def test_backends_are_counted() -> None:
    """Attempts, failures but for the caller's mistakes, latency of answers, and the last error."""
    failing = Upstream([[upstream_silent("slow")], [invalid_request("wrong")], [answer()]])
    async with direct(config({"a": failing, "b": Upstream([[answer()]])})) as gateway:
        await gateway.chat(ask(), CallContext(""))
        first, second = (await status(gateway)).backends
        assert (first.attempts, first.failures, first.last_error) == (1, 1, "slow")
        assert not first.HasField("latency_ms")
        assert (second.attempts, second.failures, second.last_error) == (1, 0, "")
        assert second.latency_ms > 0

        with pytest.raises(GatewayError):
            await gateway.chat(ask(), CallContext(""))
        first = (await status(gateway)).backends[0]
        assert (first.attempts, first.failures, first.last_error) == (2, 1, "")

        await gateway.chat(ask(), CallContext(""))
        first = (await status(gateway)).backends[0]
        assert (first.attempts, first.failures, first.in_flight) == (3, 1, 0)
        assert first.latency_ms > 0


async def test_attempts_under_way_are_counted() -> None:
    """A caller who leaves is no failure of the backend."""
    upstream = Upstream([[FOREVER]])
    async with direct(config({"a": upstream})) as gateway:
        task = asyncio.ensure_future(gateway.chat(ask(), CallContext("")))
        await upstream.called()
        assert (await status(gateway)).backends[0].in_flight == 1
        task.cancel()
        await asyncio.wait([task])
        backend = (await status(gateway)).backends[0]
        assert (backend.in_flight, backend.attempts, backend.failures) == (0, 1, 0)


async def test_a_draining_gateway_takes_no_calls_and_says_so() -> None:
    """Running calls go on; new ones are refused with 503; the status can still be asked for."""
    go_on = asyncio.Event()
    upstream = Upstream([[go_on, answer()]])
    gateway = RoutingGateway(config({"a": upstream}))
    running = asyncio.ensure_future(gateway.chat(ask(), CallContext("")))
    await upstream.called()
    gateway.drain()
    with pytest.raises(GatewayError) as caught:
        await gateway.chat(ask(), CallContext(""))
    assert (caught.value.http_status, caught.value.code) == (503, "gateway_draining")
    assert (await status(gateway)).state == GatewayState.GATEWAY_STATE_DRAINING

    closing = asyncio.create_task(gateway.aclose())
    await asyncio.sleep(0)
    assert not upstream.closed
    go_on.set()
    await closing
    assert (await running).served.backend == "a"
    assert upstream.closed
