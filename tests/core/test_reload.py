"""A gateway that goes over to another configuration while its calls run."""

import asyncio
import dataclasses
import os
import signal
from contextlib import aclosing
from pathlib import Path

import pytest

from portico.adapter import Limits
from portico.config import ConfigError
from portico.errors import GatewayError, from_upstream
from portico.gateway import CallContext
from portico.v1.gateway_pb2 import ListModelsRequest
from portico.v1.models_pb2 import Model
from portico_core.config import Concurrency, Config
from portico_core.gateway import RoutingGateway
from portico_core.reload import Reloads, reloading
from tests.support.core import (
    FOREVER,
    ScriptedAdapter,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    direct,
    finish,
    role,
    text,
)


class RefusedAdapter(ScriptedAdapter):
    """One that cannot be made."""

    def __init__(self, name: str, settings: Upstream, limits: Limits) -> None:
        super().__init__(name, settings, limits)
        raise ValueError("it cannot be made")


async def served_by(gateway: RoutingGateway, model: str = "m") -> str:
    """Return the backend that answers."""
    return (await gateway.chat(ask(model), CallContext(""))).served.backend


async def names(gateway: RoutingGateway) -> list[str]:
    """Return the models that are listed."""
    response = await gateway.list_models(ListModelsRequest(), CallContext(""))
    return [model.id for model in response.models]


async def test_calls_after_a_reload_go_where_the_new_configuration_says() -> None:
    """The lists and the metrics follow."""
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    async with direct(config({"a": a})) as gateway:
        assert await served_by(gateway) == "a"
        await gateway.reload(config({"b": b}, models={"n": ["b/x"]}))
        assert await served_by(gateway, "n") == "b"
        with pytest.raises(GatewayError, match="does not exist"):
            await served_by(gateway, "m")
        assert await names(gateway) == ["n"]
        sample = gateway.metrics.registry.get_sample_value
        assert sample("portico_attempts_in_flight", {"backend": "a"}) is None
        assert sample("portico_attempts_in_flight", {"backend": "b"}) == 0
    assert a.closed
    assert b.closed


async def test_running_calls_end_by_what_they_began_with() -> None:
    """Their backend is closed when the last of them is over, and not before."""
    go_on = asyncio.Event()
    a, b = Upstream([[role(), text("Hel"), go_on, text("lo"), finish()]]), Upstream([[answer()]])
    async with direct(config({"a": a})) as gateway:
        async with aclosing(gateway.stream(ask_stream(), CallContext(""))) as stream:
            await anext(stream)
            await gateway.reload(config({"b": b}))
            assert await served_by(gateway) == "b"
            assert not a.closed
            go_on.set()
            assert len([each async for each in stream]) == 2
        async with asyncio.timeout(10):
            await gateway.idle()
        assert a.closed
        assert not b.closed


async def test_a_later_reload_leaves_the_calls_of_every_earlier_one_alone() -> None:
    """A backend that two configurations shared is closed when the calls of both are over."""
    go_on = asyncio.Event()
    a, b = Upstream([[role(), text("Hel"), go_on, text("lo"), finish()]]), Upstream([[answer()]])
    async with direct(config({"a": a})) as gateway:
        async with aclosing(gateway.stream(ask_stream(), CallContext(""))) as stream:
            await anext(stream)
            await gateway.reload(config({"b": b, "a": a}))
            await gateway.reload(config({"b": b}))
            idle = asyncio.create_task(gateway.idle())
            done, _ = await asyncio.wait([idle], timeout=0.05)
            assert not done
            assert not a.closed
            go_on.set()
            assert len([each async for each in stream]) == 2
        async with asyncio.timeout(10):
            await idle
        assert a.closed


@pytest.mark.parametrize("now", [asyncio.Event(), from_upstream(500, "broken")], ids=["hangs", "fails"])
async def test_a_backend_that_did_not_change_keeps_its_list(now: asyncio.Event | GatewayError) -> None:
    """It cannot be asked for its models at the moment: their names lead there all the same, at once."""
    a, b = Upstream([[answer()]], models=[Model(id="listed")]), Upstream([[answer()]])
    async with direct(config({"a": a}, {})) as gateway:
        assert await served_by(gateway, "listed") == "a"
        a.models = now
        async with asyncio.timeout(1):
            await gateway.reload(config({"a": a, "b": b}, {"m": ["b/x"]}))
            assert await served_by(gateway, "listed") == "a"
            assert await names(gateway) == ["m", "a/listed"]


async def test_another_limit_counts_at_once_for_those_under_way_too() -> None:
    """The backend goes on with its connections and its record; a bad file changes nothing of it."""
    a, b = Upstream([[FOREVER]]), Upstream([[answer()]])
    before = config({"a": a})

    def limited(limit: int) -> Config:
        concurrency = Concurrency(limit=limit, queue=0)
        return dataclasses.replace(
            before,
            backends=tuple(dataclasses.replace(each, concurrency=concurrency) for each in before.backends),
        )

    async with direct(limited(2)) as gateway, asyncio.TaskGroup() as group:
        kept = gateway._setup.backends["a"]
        calls = [group.create_task(gateway.chat(ask(), CallContext(""))) for _ in range(2)]
        await a.called(2)
        refused = dataclasses.replace(config({"b": b}).backends[0], adapter=RefusedAdapter)
        with pytest.raises(ConfigError):
            await gateway.reload(dataclasses.replace(limited(9), backends=(*limited(9).backends, refused)))
        with pytest.raises(GatewayError, match="busy"):
            await gateway.chat(ask(), CallContext(""))
        await gateway.reload(limited(3))
        assert gateway._setup.backends["a"] is kept
        calls.append(group.create_task(gateway.chat(ask(), CallContext(""))))
        await a.called(3)
        with pytest.raises(GatewayError, match="busy"):
            await gateway.chat(ask(), CallContext(""))
        assert len(a.calls) == 3
        for call in calls:
            call.cancel()


async def test_a_backend_that_did_not_change_goes_on() -> None:
    """With its connections and its record, wherever it stands in the file now."""
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    before = config({"a": a})
    async with direct(before) as gateway:
        await served_by(gateway)
        kept = gateway._setup.backends["a"]
        moved = dataclasses.replace(before.backends[0], place="portico.yaml:99")
        after = config({"a": a, "b": b})
        await gateway.reload(dataclasses.replace(after, backends=(moved, after.backends[1])))
        assert gateway._setup.backends["a"] is kept
        assert kept.status().attempts == 1
        await gateway.idle()
        assert not a.closed
        other = dataclasses.replace(moved, settings=Upstream([[answer()]]))
        await gateway.reload(dataclasses.replace(before, backends=(other,)))
        assert gateway._setup.backends["a"] is not kept
        await gateway.idle()
        assert a.closed


async def test_the_end_waits_for_the_calls_of_every_configuration() -> None:
    """A call of the first one that never ends keeps the gateway from closing."""
    a, b = Upstream([[FOREVER]]), Upstream([[answer()]])
    async with direct(config({"a": a})) as gateway:
        call = asyncio.create_task(gateway.chat(ask(), CallContext("")))
        await a.called()
        await gateway.reload(config({"b": b}))
        idle = asyncio.create_task(gateway.idle())
        await served_by(gateway)
        assert not idle.done()
        call.cancel()
        async with asyncio.timeout(10):
            await idle


class Files:
    """What a test lets the file say."""

    def __init__(self, *said: Config | Exception) -> None:
        self._said = list(said)

    def load(self) -> Config:
        said = self._said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


async def until_served_by(gateway: RoutingGateway, backend: str) -> None:
    """Wait until calls go to a backend."""
    async with asyncio.timeout(10):
        while await served_by(gateway) != backend:  # noqa: ASYNC110 - a condition to be polled
            await asyncio.sleep(0.01)


async def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    path = tmp_path / "portico.yaml"
    path.write_text("one")
    files = Files(config({"b": b}))
    async with direct(config({"a": a})) as gateway, reloading(gateway, Reloads(path, files.load)):
        path.write_text("another")
        await until_served_by(gateway, "b")


async def test_a_hangup_reads_it_again_whether_or_not_it_changed() -> None:
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    files = Files(config({"b": b}))
    async with direct(config({"a": a})) as gateway, reloading(gateway, Reloads(None, files.load)):
        os.kill(os.getpid(), signal.SIGHUP)
        await until_served_by(gateway, "b")


async def test_a_bad_file_changes_nothing_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """The next good one is taken."""
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    files = Files(ConfigError("portico.yaml:3: models.m: has no candidate."), config({"b": b}))
    async with direct(config({"a": a})) as gateway, reloading(gateway, Reloads(None, files.load)):
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while "portico.yaml:3: models.m: has no candidate." not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await served_by(gateway) == "a"
        os.kill(os.getpid(), signal.SIGHUP)
        await until_served_by(gateway, "b")
