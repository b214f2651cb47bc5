"""Which candidates serve a request, over every binding: features, tags, affinity, shares and the fallback."""

import asyncio
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.v1.chat_pb2 import AudioParams, ChatCompletionParams, ResponseFormat
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import ChatRequest
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage, ContentPart, FilePart, ImageUrl, InputAudio
from portico.v1.tools_pb2 import FunctionDefinition, Tool
from portico_core import attempt
from portico_core.candidates import Candidate, Route
from portico_core.config import Config
from portico_core.policy import ByHeader, Policy
from portico_core.pools.needs import FEATURES, needs
from tests.core.cases import BROKEN, MISTAKE
from tests.support.core import (
    BINDINGS,
    Binding,
    Script,
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

over_all = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS.keys())


def pooled(upstreams: Mapping[str, Upstream], *routes: Route, allowed: Sequence[str] | None = None) -> Config:
    """Return a configuration over backends with some routes."""
    settings = config(dict(upstreams))
    return dataclasses.replace(
        settings, routes=dataclasses.replace(settings.routes, routes=routes, allowed=allowed)
    )


def of(*names: str, reply: Any = None) -> dict[str, Upstream]:
    """Return backends that answer."""
    return {name: Upstream([[answer(name) if reply is None else reply]]) for name in names}


def c(backend: str, **more: Any) -> Candidate:
    return Candidate(backend, "x", **more)


def header(name: str, value: str) -> Header:
    return Header(name=name, value=value.encode())


def part(type: str, **of_part: Any) -> ChatCompletionParams:
    """Return what asks for something with one part of that kind, after a text."""
    parts = [ContentPart(type="text", text="hi"), ContentPart(type=type, **of_part)]
    return ChatCompletionParams(
        model="m",
        messages=[ChatMessage(role="system", content="x"), ChatMessage(role="user", content_parts=parts)],
    )


IMAGE = part("image_url", image_url=ImageUrl(url="data:,"))
TOOL = Tool(function=FunctionDefinition(name="f"))


@pytest.mark.parametrize(
    ("params", "needed"),
    [
        (ask().params, {}),
        (IMAGE, {"images": "messages[1].content"}),
        (part("input_audio", input_audio=InputAudio(data="x")), {"audio": "messages[1].content"}),
        (ask(modalities=["text", "audio"]).params, {"audio": "modalities"}),
        (ask(audio=AudioParams(voice="a")).params, {"audio": "audio"}),
        (part("file", file=FilePart(file_id="f")), {"files": "messages[1].content"}),
        (ask(tools=[TOOL]).params, {"tools": "tools"}),
        (ask(functions=[TOOL.function]).params, {"tools": "functions"}),
        (ask(response_format=ResponseFormat(type="json_schema")).params, {"structured": "response_format"}),
        (ask(response_format=ResponseFormat(type="text")).params, {}),
        (ask(reasoning_effort="low").params, {"reasoning": "reasoning_effort"}),
        (ask(reasoning_effort="none").params, {}),
        (EmbeddingParams(model="m"), {}),
    ],
)
def test_what_a_request_needs_is_told_with_its_member(
    params: ChatCompletionParams | EmbeddingParams, needed: Mapping[str, str]
) -> None:
    assert needs(params) == needed
    assert set(needed) <= set(FEATURES)


@over_all
async def test_a_request_with_images_goes_to_a_candidate_that_takes_them(binding: Binding) -> None:
    """Streamed or not; one that says nothing of features takes everything."""
    upstreams = {**of("blind", "seeing"), "any": Upstream([[BROKEN], [role(), text("any"), finish()]])}
    route = Route(
        "m", (c("blind", features=frozenset()), c("any"), c("seeing", features=frozenset({"images"})))
    )
    async with binding(pooled(upstreams, route)) as gateway:
        assert (await gateway.chat(ChatRequest(params=IMAGE), CallContext(""))).served.backend == "seeing"
        assert (await gateway.chat(ask(), CallContext(""))).served.backend == "blind"
        request = ask_stream()
        request.params.CopyFrom(IMAGE)
        first = await anext(aiter(gateway.stream(request, CallContext(""))))
        assert first.served.backend == "any"
    assert len(upstreams["blind"].calls) == 1


@over_all
async def test_what_nobody_takes_is_refused_by_name(binding: Binding) -> None:
    """With the member that asks for it, and without an attempt."""
    upstreams = of("a", "b")
    route = Route("m", (c("a", features=frozenset({"tools"})), c("b", features=frozenset({"files"}))))
    context = CallContext("")
    async with binding(pooled(upstreams, route)) as gateway:
        with pytest.raises(GatewayError) as raised:
            await gateway.chat(ChatRequest(params=IMAGE), context)
    error = raised.value
    assert (error.http_status, error.code, error.param) == (
        400,
        "unsupported_parameter",
        "messages[1].content",
    )
    assert str(error) == "No backend of the model `m` takes images."
    assert not upstreams["a"].calls + upstreams["b"].calls


async def test_features_that_only_different_candidates_take_are_refused_together() -> None:
    route = Route("m", (c("a", features=frozenset({"tools"})), c("b", features=frozenset({"images"}))))
    params = ChatCompletionParams(tools=[TOOL])
    params.MergeFrom(IMAGE)
    async with direct(pooled(of("a", "b"), route)) as gateway:
        with pytest.raises(GatewayError, match="takes images and tools together"):
            await gateway.chat(ChatRequest(params=params), CallContext(""))


@over_all
@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ([], "a"),
        ([header("x-portico-route", "eu")], "b"),
        ([header("X-Portico-Route", "eu, fast")], "c"),
        ([header("x-portico-route", "eu"), header("x-portico-route", "fast")], "c"),
        ([header("x-portico-route", " ")], "a"),
    ],
)
async def test_tags_choose_among_candidates(binding: Binding, headers: list[Header], served: str) -> None:
    """Each must have all of them."""
    route = Route("m", (c("a"), c("b", tags=frozenset({"eu"})), c("c", tags=frozenset({"eu", "fast"}))))
    async with binding(pooled(of("a", "b", "c"), route)) as gateway:
        assert (await gateway.chat(ask_with(headers), CallContext(""))).served.backend == served


def ask_with(headers: list[Header], **more: Any) -> ChatRequest:
    request = ask(**more)
    request.headers.extend(headers)
    return request


@over_all
@pytest.mark.parametrize("tags", ["us", "eu,us"])
async def test_tags_that_no_candidate_has_are_refused(binding: Binding, tags: str) -> None:
    """A caller that must stay in a region is not served elsewhere."""
    upstreams = of("a", "b")
    async with binding(pooled(upstreams, Route("m", (c("a"), c("b", tags=frozenset({"eu"})))))) as gateway:
        with pytest.raises(GatewayError) as raised:
            await gateway.chat(ask_with([header("x-portico-route", tags)]), CallContext(""))
    assert (raised.value.http_status, raised.value.code) == (400, "route_not_found")
    assert not upstreams["a"].calls + upstreams["b"].calls


@pytest.mark.parametrize("by_header", [True, False])
@over_all
async def test_calls_with_something_in_common_meet_at_one_candidate(
    binding: Binding, by_header: bool
) -> None:
    """By a member or by a header; with another value some go elsewhere."""
    upstreams = of("a", "b", "c")
    affinity = ByHeader("x-session-id") if by_header else "prompt_cache_key"
    policy = Policy(balance="least", affinity=affinity)
    route = Route("m", tuple(map(c, upstreams)), policy=policy)

    def asked(key: str) -> ChatRequest:
        return ask_with([header("x-session-id", key)]) if by_header else ask(prompt_cache_key=key)

    async with binding(pooled(upstreams, route)) as gateway:
        for key in ("one", "two"):
            served = {(await gateway.chat(asked(key), CallContext(""))).served.backend for _ in range(10)}
            assert len(served) == 1
        spread = {(await gateway.chat(asked(str(key)), CallContext(""))).served.backend for key in range(20)}
    assert spread == set(upstreams)


async def test_a_canary_gets_its_part() -> None:
    """One call in ten, give or take what chance does."""
    upstreams = of("old", "new")
    route = Route("m", (c("old", weight=90.0), c("new", weight=10.0)), policy=Policy(balance="weighted"))
    async with direct(pooled(upstreams, route)) as gateway:
        for _ in range(300):
            await gateway.chat(ask(), CallContext(""))
    assert 5 <= len(upstreams["new"].calls) <= 75
    assert len(upstreams["new"].calls) + len(upstreams["old"].calls) == 300


async def test_a_busy_candidate_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is chosen only where it was drawn twice, which is one time in four."""
    # Both are as fast: this machine may be busy too.
    ticks = itertools.count(monotonic(), 0.001)
    monkeypatch.setattr(attempt, "monotonic", lambda: next(ticks))
    go_on = asyncio.Event()
    held: Script = [go_on, answer("a")]
    upstreams = {"a": Upstream([*[held] * 10, [answer("a")]]), **of("b")}
    route = Route("m", (c("a"), c("b")), policy=Policy(balance="least"))
    async with direct(pooled(upstreams, route)) as gateway, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            # Under whichever name: what counts is the candidate.
            tasks.create_task(gateway.chat(ask("a/x"), CallContext("")))
        await upstreams["a"].called(10)
        for _ in range(200):
            await gateway.chat(ask(), CallContext(""))
        go_on.set()
    assert 10 < len(upstreams["a"].calls) - 10 < 80


def falling(name: str, backend: str, fallback: str | None) -> Route:
    return Route(name, (c(backend),), policy=Policy(fallback=fallback))


@over_all
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_fallback_answers_by_its_own_name(binding: Binding, streamed: bool) -> None:
    """Once all candidates have failed, one chain after the other."""
    good: list[Any] = [role(), text("c"), finish()] if streamed else [answer("c")]
    upstreams = {"a": Upstream([[BROKEN]]), "b": Upstream([[BROKEN]]), "c": Upstream([good])}
    routes = [falling("m", "a", "n"), falling("n", "b", "o"), falling("o", "c", None)]
    context = CallContext("")
    async with binding(pooled(upstreams, *routes)) as gateway:
        if streamed:
            responses = [each async for each in gateway.stream(ask_stream(), context)]
            named = responses[0].header.model
        else:
            named = (await gateway.chat(ask(), context)).completion.model
    assert named == "o"
    assert context.receipt is not None
    assert list(dict.fromkeys(each.candidate.backend for each in context.receipt.attempts)) == ["a", "b", "c"]


@over_all
async def test_the_callers_mistake_does_not_fall_back(binding: Binding) -> None:
    upstreams = {"a": Upstream([[MISTAKE]]), **of("b")}
    async with binding(pooled(upstreams, falling("m", "a", "n"), falling("n", "b", None))) as gateway:
        with pytest.raises(GatewayError, match="temperature"):
            await gateway.chat(ask(), CallContext(""))
    assert not upstreams["b"].calls


async def test_a_fallback_that_callers_may_not_ask_for_is_left_out() -> None:
    """The one behind it may serve."""
    upstreams = {"a": Upstream([[BROKEN]]), **of("b", "c")}
    routes = [falling("m", "a", "n"), falling("n", "b", "o"), falling("o", "c", None)]
    async with direct(pooled(upstreams, *routes, allowed=["m", "o"])) as gateway:
        assert (await gateway.chat(ask(), CallContext(""))).completion.model == "o"
    assert not upstreams["b"].calls


async def test_a_candidate_that_failed_is_not_asked_again_under_another_name() -> None:
    upstreams = {"a": Upstream([[BROKEN]])}
    routes = [falling("m", "a", "n"), falling("n", "a", None)]
    async with direct(pooled(upstreams, *routes)) as gateway:
        with pytest.raises(GatewayError):
            await gateway.chat(ask(), CallContext(""))
    alone = len(upstreams["a"].calls)
    upstreams["a"].calls.clear()
    async with direct(pooled(upstreams, routes[1])) as gateway:
        with pytest.raises(GatewayError):
            await gateway.chat(ask("n"), CallContext(""))
    assert len(upstreams["a"].calls) == alone


async def test_a_fallback_serves_what_the_model_cannot_take() -> None:
    """Features and tags hold in the whole chain."""
    routes = [
        Route("m", (c("a", features=frozenset()),), policy=Policy(fallback="n")),
        falling("n", "b", None),
    ]
    async with direct(pooled(of("a", "b"), *routes)) as gateway:
        assert (await gateway.chat(ChatRequest(params=IMAGE), CallContext(""))).completion.model == "n"
