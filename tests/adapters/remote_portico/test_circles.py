"""Gateways that lead to each other: no call goes round for ever, and no list of models grows."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpc import aio

from portico.adapter import Adapter
from portico.errors import ErrorClass, GatewayError
from portico.gateway import CallContext
from portico.remote import RemoteGateway, channel_options
from portico.testing.contract import messages_of
from portico.testing.watch import PATIENCE
from portico.v1.gateway_pb2 import ListModelsRequest
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._hops import MAX_HOPS
from portico_core.config import Config
from tests.adapters.remote_portico.gateways import call, calling, far, leading_to, listening
from tests.support.core import Upstream, answer, config


@asynccontextmanager
async def in_a_circle(
    upstream: Upstream, models: tuple[str, ...] | None = ()
) -> AsyncIterator[tuple[str, str]]:
    """Run two cores that have each other as a backend, and one of which has ``upstream`` too."""
    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        here, there = (f"unix:{Path(folder, name)}" for name in ("here", "there"))
        own: Config = config({"own": upstream}, models={})
        async with (
            listening(leading_to("there", there, own.backends, models), here),
            listening(leading_to("here", here, models=models), there),
        ):
            yield here, there


def _hops(count: bytes) -> list[Header]:
    return [Header(name="x-portico-hops", value=count)]


async def _chat(adapter: Adapter) -> object:
    return await adapter.chat(call("round"))


async def _stream(adapter: Adapter) -> object:
    return await messages_of(adapter, call("round"))


@pytest.mark.parametrize("way", [_chat, _stream])
async def test_a_call_in_a_circle_is_refused(way: Callable[[Adapter], Awaitable[object]]) -> None:
    """It names the circle, and no gateway on the way tries anything else."""
    async with in_a_circle(Upstream()) as (here, _), calling(here) as adapter:
        with pytest.raises(GatewayError, match="lead in a circle") as caught:
            await way(adapter)
    error = caught.value
    assert (error.error_class, error.http_status) == (ErrorClass.CALLER, 400)
    assert (error.code, error.param) == ("gateway_loop", "model")


async def test_as_many_gateways_as_are_allowed_serve() -> None:
    """The way to a backend may lead over several gateways."""
    upstream = Upstream([[answer("hello")]])
    async with in_a_circle(upstream) as (here, _), calling(here) as adapter:
        response = await adapter.chat(call("there/here/own/x"))
    assert response.completion.choices[0].message.content == "hello"
    (seen,) = upstream.calls
    assert [(each.name, each.value) for each in seen.headers] == [("x-portico-hops", b"3")]


@pytest.mark.parametrize(("told", "sent"), [(b"", 1), (b"3", 4), (b"-9", 1), (b"x", 1), (b"9" * 5000, 1)])
async def test_a_caller_may_count_for_itself_but_not_backwards(told: bytes, sent: int) -> None:
    """What is no number counts as none."""
    upstream = Upstream([[answer()]])
    async with far(config({"a": upstream})) as adapter:
        await adapter.chat(call(headers=_hops(told)))
    assert upstream.calls[0].headers[0].value == b"%d" % sent


async def test_beyond_the_limit_the_other_core_is_not_called() -> None:
    """The adapter itself refuses."""
    upstream = Upstream([[answer()]])
    async with far(config({"a": upstream})) as adapter:
        with pytest.raises(GatewayError, match="came through 5 gateways"):
            await adapter.chat(call(headers=_hops(b"%d" % MAX_HOPS)))
    assert upstream.calls == []


async def test_models_keep_the_names_of_the_other_core_and_what_it_tells_of_them() -> None:
    """``backend/model`` there is what to ask for."""
    listed = Model(id="x", owned_by="acme", created=7, extra_json='{"context": 12345678901234567890}')
    async with far(config({"a": Upstream(models=[listed])})) as adapter:
        own, model = await adapter.list_models(())
    assert (own.id, model.id, model.owned_by, model.created) == ("m", "a/x", "acme", 7)
    assert json.loads(model.extra_json) == {"context": 12345678901234567890, "portico_hops": 1}


async def test_the_list_of_models_in_a_circle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often each gateway asks the other, names grow to the limit of hops and no further."""
    for pause in ("_FRESH", "_RETRY"):
        monkeypatch.setattr(f"portico_core.catalog.{pause}", 0.0)
    upstream = Upstream(models=[Model(id="x")])
    grown = {"own/x", "there/here/own/x", "there/here/there/here/own/x"}
    grown |= {"round", "there/round", "there/here/round", "there/here/there/round"}
    grown |= {"there/here/there/here/round"}
    async with (
        in_a_circle(upstream, models=None) as (here, _),
        asyncio.timeout(PATIENCE),
        aio.insecure_channel(here, channel_options()) as channel,
    ):
        gateway = RemoteGateway(channel)
        while await _names(gateway) < grown:
            pass
        for _ in range(4 * MAX_HOPS):
            assert await _names(gateway) == grown


async def _names(gateway: RemoteGateway) -> set[str]:
    listed = await gateway.list_models(ListModelsRequest(), CallContext(""))
    return {model.id for model in listed.models}
