"""What the core counts."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from portico.errors import GatewayError, upstream_failed
from portico.gateway import CallContext
from portico.v1.gateway_pb2 import GetStatusRequest
from portico_core.candidates import Member, Route
from portico_core.config import Config
from portico_core.gateway import RoutingGateway
from portico_core.model_labels import ModelLabels
from portico_core.routing import Routes
from tests.support.core import (
    FOREVER,
    Upstream,
    answer,
    ask,
    ask_stream,
    candidate,
    config,
    direct,
    finish,
    role,
    text,
)


def value(gateway: RoutingGateway, name: str, **labels: str) -> float:
    """Return a sample; 0 where there is none."""
    return gateway.metrics.registry.get_sample_value(name, labels) or 0.0


def samples(gateway: RoutingGateway, name: str) -> dict[tuple[str, ...], float]:
    """Return all samples of a name by the values of their labels, sorted by the labels' names."""
    return {
        tuple(text for _, text in sorted(sample.labels.items())): sample.value
        for metric in gateway.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


async def test_a_call_is_counted_with_its_attempts_and_tokens() -> None:
    """Under the backend that served it; the one that failed has an attempt."""
    broken, whole = Upstream(scripts=[[upstream_failed("no")]]), Upstream(scripts=[[answer()]])
    async with direct(config({"a": broken, "b": whole})) as gateway:
        await gateway.chat(ask(), CallContext(""))
        labels = {"rpc": "Chat", "model": "m", "backend": "b"}
        assert samples(gateway, "portico_calls_total") == {("b", "m", "ok", "Chat"): 1}
        assert samples(gateway, "portico_call_errors_total") == {}
        assert samples(gateway, "portico_attempts_total") == {("a", "upstream"): 2, ("b", "ok"): 1}
        assert samples(gateway, "portico_tokens_total") == {
            ("b", "m", "backend", "input"): 1,
            ("b", "m", "backend", "output"): 2,
        }
        assert value(gateway, "portico_call_duration_seconds_count", **labels) == 1
        assert samples(gateway, "portico_time_to_first_content_seconds_count") == {}


async def test_a_stream_is_counted_at_its_end_with_its_first_content() -> None:
    """Not while it runs."""
    upstream = Upstream(scripts=[[role(), text("hi"), finish()]])
    async with direct(config({"a": upstream})) as gateway:
        async with aclosing(gateway.stream(ask_stream(), CallContext(""))) as stream:
            await anext(stream)
            assert samples(gateway, "portico_calls_total") == {}
            assert value(gateway, "portico_calls_in_flight", rpc="Stream") == 1
            assert value(gateway, "portico_attempts_in_flight", backend="a") == 1
            assert [each async for each in stream]
        assert samples(gateway, "portico_calls_total") == {("a", "m", "ok", "Stream"): 1}
        assert samples(gateway, "portico_time_to_first_content_seconds_count") == {("a", "m"): 1}
        assert value(gateway, "portico_calls_in_flight", rpc="Stream") == 0
        assert value(gateway, "portico_attempts_in_flight", backend="a") == 0


async def test_an_error_is_counted_by_its_class_under_the_backend_tried_last() -> None:
    """As an outcome too."""
    async with direct(config({"a": Upstream(scripts=[[upstream_failed("no")]])})) as gateway:
        with pytest.raises(GatewayError):
            await gateway.chat(ask(), CallContext(""))
        assert samples(gateway, "portico_calls_total") == {("a", "m", "error", "Chat"): 1}
        assert samples(gateway, "portico_call_errors_total") == {("a", "upstream", "m", "Chat"): 1}


async def test_a_caller_that_leaves_is_no_error() -> None:
    """Neither of the call nor of the backend."""
    upstream = Upstream(scripts=[[FOREVER]])
    async with direct(config({"a": upstream})) as gateway:
        call = asyncio.create_task(gateway.chat(ask(), CallContext("")))
        await upstream.called()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert samples(gateway, "portico_calls_total") == {("a", "m", "cancelled", "Chat"): 1}
        assert samples(gateway, "portico_attempts_total") == {("a", "cancelled"): 1}
        assert samples(gateway, "portico_call_errors_total") == {}


async def test_names_that_callers_make_up_make_no_series() -> None:
    """However many there are, and whatever is in them."""
    settings = config({"a": Upstream(scripts=[[answer()]])}, models={"m": ["a/x"], "gpt-*": ["a/*"]})
    async with direct(settings) as gateway:
        for number in range(50):
            for name in (f'evil"\n{number}', f"gpt-{number}", f"a/{number}", "x" * 10_000 + str(number)):
                await asyncio.gather(gateway.chat(ask(name), CallContext("")), return_exceptions=True)
        assert samples(gateway, "portico_calls_total") == {
            ("", "other", "error", "Chat"): 100,
            ("a", "gpt-*", "ok", "Chat"): 50,
            ("a", "other", "ok", "Chat"): 50,
        }


async def test_questions_are_counted_without_model_and_backend() -> None:
    """Each under its RPC."""
    async with direct(config({"a": Upstream()})) as gateway:
        await gateway.get_status(GetStatusRequest(), CallContext(""))
        assert samples(gateway, "portico_calls_total") == {("", "", "ok", "GetStatus"): 1}
        assert samples(gateway, "portico_tokens_total") == {}


async def test_two_gateways_of_a_program_count_apart() -> None:
    """Each has a registry of its own."""
    async with direct(config({"a": Upstream(scripts=[[answer()]])})) as one, direct(config({})) as other:
        await one.chat(ask(), CallContext(""))
        assert len(samples(one, "portico_calls_total")) == 1
        assert samples(other, "portico_calls_total") == {}


class Lists:
    """As much of a catalog as labels look at."""

    def __init__(self, *models: tuple[str, str]) -> None:
        self.become(*models)

    def become(self, *models: tuple[str, str]) -> None:
        self.found = models
        self.mapping: Mapping[str, str] = {model: backend for backend, model in models}

    def listed(self) -> Mapping[str, str]:
        return self.mapping

    def models(self) -> list[tuple[str, "Lists.Entry"]]:
        return [(backend, self.Entry(model)) for backend, model in self.found]

    class Entry:
        def __init__(self, id: str) -> None:
            self.id = id


ROUTES = Routes(
    [
        Route("gpt-4", (candidate("a/qwen"),)),
        Route("claude-*", (candidate("b/*"),)),
    ],
    ["a", "b", "c"],
    namespaces={"azure": [Member("c", ("gpt-4o",))]},
)


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("gpt-4", "gpt-4"),
        ("a/qwen", "a/qwen"),
        ("listed", "listed"),
        ("b/listed", "b/listed"),
        ("azure/gpt-4o", "azure/gpt-4o"),
        ("claude-whatever", "claude-*"),
        ("a/made-up", "other"),
        ("azure/made-up", "other"),
        ("made-up", "other"),
        ("", ""),
    ],
)
def test_the_label_of_a_model_is_a_name_that_is_known(asked: str, label: str) -> None:
    """By the configuration, or by a backend's list."""
    lists = Lists(("b", "listed"))
    assert ModelLabels(ROUTES, lists).label(asked) == label  # type: ignore[arg-type]


def test_a_model_that_comes_to_be_listed_gets_a_label() -> None:
    """From the next call on."""
    lists = Lists()
    labels = ModelLabels(ROUTES, lists)  # type: ignore[arg-type]
    assert labels.label("b/new") == "other"
    lists.become(("b", "new"))
    assert labels.label("b/new") == "b/new"


async def test_every_metric_is_documented() -> None:
    """By the name that it has in a query."""
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    async with direct(config({"a": Upstream()})) as gateway:
        registry = gateway.metrics.registry
    suffixes = {"counter": "_total", "info": "_info"}
    names = {metric.name + suffixes.get(metric.type, "") for metric in registry.collect()}
    assert [name for name in sorted(names) if name.startswith("portico_") and f"`{name}`" not in text] == []
    assert len(names) > 5


async def test_what_no_configuration_names_any_more_is_forgotten() -> None:
    """At the second reload, when what the last calls came to has been told; all else counts on."""
    backends = {name: Upstream([[answer()]]) for name in ("kept", "a", "b", "c")}

    def named(name: str) -> Config:
        models: dict[str, Sequence[str]] = {"m": ["kept/x"], name: [f"{name}/x"]}
        return config({"kept": backends["kept"], name: backends[name]}, models)

    async def counted() -> dict[tuple[str, ...], float]:
        for model in (*gateway.config.routes.exact, "nobody's"):
            with contextlib.suppress(GatewayError):
                await gateway.chat(ask(model), CallContext(""))
        return {
            (backend, model): count
            for (backend, model, *_), count in samples(gateway, "portico_calls_total").items()
        }

    async with direct(named("a")) as gateway:
        assert await counted() == {("kept", "m"): 1, ("a", "a"): 1, ("", "other"): 1}
        await gateway.reload(named("b"))
        assert await counted() == {("kept", "m"): 2, ("a", "a"): 1, ("b", "b"): 1, ("", "other"): 2}
        await gateway.reload(named("c"))
        assert await counted() == {("kept", "m"): 3, ("b", "b"): 1, ("c", "c"): 1, ("", "other"): 3}
        assert samples(gateway, "portico_attempts_total") == {
            ("kept", "ok"): 3,
            ("b", "ok"): 1,
            ("c", "ok"): 1,
        }
