"""What backends list: asked for in the background, kept, renewed, and joined with the configuration."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from portico.errors import GatewayError, from_upstream, upstream_failed
from portico.gateway import CallContext, Gateway
from portico.v1.gateway_pb2 import GetModelRequest, ListModelsRequest
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_core import catalog
from portico_core.backends import build
from portico_core.candidates import Member
from portico_core.catalog import Catalog
from tests.support.core import BINDINGS, ScriptedAdapter, Upstream, answer, ask, config, direct


@dataclass
class Clock:
    now: float = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that lists see."""
    clock = Clock()
    monkeypatch.setattr(catalog, "monotonic", lambda: clock.now)
    return clock


def context() -> CallContext:
    return CallContext("req_1")


def listing(*names: str) -> list[Model]:
    return [Model(id=name, created=7, owned_by="vendor", extra_json='{"x":1}') for name in names]


async def renewed(asked: Catalog) -> dict[str, str]:
    """Return what is listed when every question that is due has been answered."""
    asked.renew()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("models of")))
    return dict(asked.listed())


@pytest.fixture
async def upstream() -> Upstream:
    return Upstream(models=listing("one"))


@pytest.fixture
async def lists(upstream: Upstream) -> AsyncIterator[Catalog]:
    """The lists of one backend."""
    made = Catalog(build(config({"a": upstream}).backends).values())
    yield made
    await made.aclose()


async def test_a_list_is_fresh_for_a_minute(clock: Clock, upstream: Upstream, lists: Catalog) -> None:
    """Within it the backend is left alone; after it the old list serves while the new one is fetched."""
    assert await renewed(lists) == {"one": "a"}
    upstream.models = listing("two")
    clock.now += 59
    assert await renewed(lists) == {"one": "a"}
    assert upstream.asked == 1
    clock.now += 2
    lists.renew()
    assert lists.listed() == {"one": "a"}
    assert await renewed(lists) == {"two": "a"}
    assert upstream.asked == 2


async def test_a_backend_that_is_down_keeps_its_list(
    clock: Clock, upstream: Upstream, lists: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked again soon, its last list serves, and the log tells its trouble once."""
    await renewed(lists)
    upstream.models = upstream_failed("no", detail="connection refused")
    with caplog.at_level(logging.INFO, "portico.catalog"):
        for pause in (61, 4, 2, 6):
            clock.now += pause
            assert await renewed(lists) == {"one": "a"}
    assert upstream.asked == 4
    (record,) = caplog.records
    assert record.getMessage() == 'cannot list models backend=a reason="connection refused"'


@pytest.mark.parametrize("trouble", [upstream_failed("no", detail="refused"), KeyError("oops")], ids=repr)
async def test_a_backend_that_cannot_be_asked_says_so_in_its_status(
    clock: Clock, upstream: Upstream, trouble: Exception
) -> None:
    """Until it can be asked again; meanwhile its list serves."""
    backends = build(config({"a": upstream}).backends)
    lists, told = Catalog(backends.values()), []
    steps: list[tuple[Sequence[Model] | Exception, dict[str, str]]] = [
        (listing("one"), {"one": "a"}),
        (trouble, {"one": "a"}),
        (listing("two"), {"two": "a"}),
    ]
    for upstream.models, expected in steps:
        clock.now += 61
        assert await renewed(lists) == expected
        told.append(bool(backends["a"].status().listing_error))
    assert told == [False, True, False]
    await lists.aclose()


async def test_an_adapter_that_crashes_is_down(
    clock: Clock, upstream: Upstream, lists: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """Its traceback is in the log, and nothing else breaks."""
    upstream.models = KeyError("oops")
    assert await renewed(lists) == {}
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("binding", BINDINGS)
async def test_all_that_routes_is_listed(binding: str) -> None:
    """Names of the configuration without stars come first, then what backends list, as they list it."""
    settings = config(
        {
            "a": Upstream(models=listing("one", "")),
            "b": Upstream(models=upstream_failed("down")),
            "c": Upstream(),
        },
        {"gpt-4": ["b/x", "a/one"], "claude-*": ["a/*"], "c/routed": ["a/one"]},
        listed={"c": ["fixed", "routed"]},
    )
    async with BINDINGS[binding](settings) as gateway:
        models = (await gateway.list_models(ListModelsRequest(), context())).models
    assert [model.id for model in models] == ["gpt-4", "c/routed", "a/one", "c/fixed"]
    own, _, theirs, fixed = models
    assert (own.owned_by, fixed.owned_by) == ("b", "c")
    assert own.created == fixed.created > 1_700_000_000
    assert (theirs.owned_by, theirs.created, theirs.extra_json) == ("vendor", 7, '{"x":1}')


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_model_can_be_asked_for_by_any_name_that_routes(binding: str) -> None:
    """Configured, prefixed, bare and starred names have an entry; others are 404."""
    settings = config({"a": Upstream(models=listing("one"))}, {"gpt-4": ["a/one"], "o*": ["a/*"]})

    async def get(gateway: Gateway, name: str) -> Model:
        return (await gateway.get_model(GetModelRequest(id=name), context())).model

    async with BINDINGS[binding](settings) as gateway:
        await gateway.list_models(ListModelsRequest(), context())
        assert (await get(gateway, "gpt-4")).owned_by == "a"
        for name in ("a/one", "one"):
            model = await get(gateway, name)
            assert (model.id, model.owned_by, model.created) == (name, "vendor", 7)
        assert (await get(gateway, "other")).owned_by == "a"
        with pytest.raises(GatewayError) as caught:
            await get(gateway, "nope")
    assert caught.value.http_status == 404


async def test_a_listed_name_waits_for_the_first_list() -> None:
    """A call that comes before the list is there is served when the list comes."""
    upstream = Upstream([[answer()]], models=listing("one"))
    async with direct(config({"a": upstream}, {})) as gateway:
        assert (await gateway.chat(ask("one"), context())).served.backend == "a"


async def test_the_wait_for_a_first_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not answer delays an unknown name a little, and nothing that is configured."""
    monkeypatch.setattr(catalog, "_FIRST_WAIT", 0.05)
    upstream = Upstream([[answer()]], models=asyncio.Event())
    async with direct(config({"a": upstream}, {"m": ["a/x"]})) as gateway:
        await gateway.chat(ask("m"), context())
        with pytest.raises(GatewayError) as caught:
            await gateway.chat(ask("nope"), context())
    assert caught.value.http_status == 404


async def test_a_backend_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, lists: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking for a list ends after its limit."""
    monkeypatch.setattr(catalog, "_PATIENCE", 0.01)
    upstream.models = asyncio.Event()
    assert await renewed(lists) == {}
    assert "no answer within 0.01 s" in caplog.text


async def test_the_default_waits_for_lists_too() -> None:
    """A listed name goes to its backend even when a default would take it."""
    first, second = Upstream([[answer()]]), Upstream([[answer()]], models=listing("one"))
    async with direct(config({"a": first, "b": second}, {}, default="a/x")) as gateway:
        assert (await gateway.chat(ask("one"), context())).served.backend == "b"
        response = await gateway.chat(ask("two"), context())
        assert (response.served.backend, response.served.model) == ("a", "x")


async def test_models_are_listed_by_their_shortest_names_and_as_far_as_they_are_allowed() -> None:
    """Those of the default namespace without a prefix, those of others under theirs, the rest by backend."""
    backends = {name: Upstream(models=listing("x", "y")) for name in ("first", "second", "lone")}
    made = config(backends, models={"m": ["first/x"], "n": ["first/y"]})
    namespaces = {"default": (Member("first"),), "azure": (Member("second"),)}
    routes = dataclasses.replace(made.routes, namespaces=namespaces, allowed=["m", "x", "lone/y"])
    async with direct(dataclasses.replace(made, routes=routes)) as gateway:
        listed = [model.id for model in (await gateway.list_models(ListModelsRequest(), context())).models]
        assert listed == ["m", "x", "azure/x", "lone/x", "lone/y"]
        for name in ("n", "y", "azure/y", "nobody/x"):
            with pytest.raises(GatewayError, match="does not exist"):
                await gateway.chat(ask(name), context())


class ByCaller(ScriptedAdapter):
    """Lists one model: the value of the caller's authorization."""

    lists_by_caller = True

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        self._upstream.asked += 1
        if not headers:
            raise from_upstream(401, "who are you?", callers_key=True)
        return listing(*(header.value.decode() for header in headers))


@pytest.mark.parametrize("binding", BINDINGS)
async def test_what_a_backend_lists_by_caller_is_kept_for_nobody(binding: str) -> None:
    """Each caller sees its own list, neither another's nor an older one; nobody asks without a caller."""
    upstream = Upstream()
    made = config({"a": upstream, "b": Upstream(models=listing("all"))}, models={})
    backends = (dataclasses.replace(made.backends[0], adapter=ByCaller), made.backends[1])
    async with BINDINGS[binding](dataclasses.replace(made, backends=backends)) as gateway:
        for number, who in enumerate(("ann", "bob", "ann"), 1):
            request = ListModelsRequest(headers=[Header(name="authorization", value=who.encode())])
            models = (await gateway.list_models(request, context())).models
            assert [model.id for model in models] == [f"a/{who}", "b/all"]
            assert upstream.asked == number
        models = (await gateway.list_models(ListModelsRequest(), context())).models
        assert [model.id for model in models] == ["b/all"]
        with pytest.raises(GatewayError, match="does not exist"):
            await gateway.chat(ask("ann"), context())
        assert upstream.asked == 4


async def test_a_caller_who_gets_no_list_at_all_is_told_why() -> None:
    made = config({"a": Upstream()}, models={})
    backends = (dataclasses.replace(made.backends[0], adapter=ByCaller),)
    async with direct(dataclasses.replace(made, backends=backends)) as gateway:
        with pytest.raises(GatewayError, match="who are you") as caught:
            await gateway.list_models(ListModelsRequest(), context())
        assert caught.value.http_status == 401
