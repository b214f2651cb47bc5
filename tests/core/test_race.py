"""A second candidate beside a slow one: the first content wins, the other is stopped and counted."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from portico.errors import GatewayError, from_upstream
from portico.gateway import CallContext, Gateway
from portico.v1.events_pb2 import AttemptEventKind
from portico.v1.gateway_pb2 import ChatRequest, GetStatusRequest, StreamRequest
from portico.v1.receipt_pb2 import Receipt
from portico_core.config import Config
from portico_core.policy import Policy
from portico_core.resilience.budget import Budget
from portico_core.resilience.tail import Tail
from portico_core.routing import Routes
from tests.core.cases import BROKEN, CALLERS_KEY, KEY, MISTAKE, SILENT
from tests.core.test_broken import A_CUT
from tests.support.core import (
    BINDINGS,
    FOREVER,
    Binding,
    Upstream,
    answer,
    config,
    contents,
    direct,
    finish,
    params,
    role,
    text,
)

_SOON: Final = 0.005
REFUSED = from_upstream(400, "not this", code="content_filter")


def hedging(upstreams: Mapping[str, Upstream], hedge: bool | float) -> Config:
    """Return a configuration whose one model hedges."""
    settings = config(dict(upstreams))
    routes = [replace(each, policy=Policy(hedge=hedge)) for each in settings.routes.routes]
    return replace(settings, routes=Routes(routes, settings.routes.backends))


def says(words: str, *before: Any, streamed: bool) -> Sequence[Any]:
    """Return a script that answers after other steps."""
    return (*before, role(), text(words), finish()) if streamed else (*before, answer(words))


async def call(gateway: Gateway, *, streamed: bool) -> tuple[str, Receipt]:
    """Call; return the text and the receipt."""
    context = CallContext("req_1")
    if streamed:
        request = StreamRequest(params=params())
        async with contextlib.aclosing(gateway.stream(request, context)) as stream:
            told = contents([response async for response in stream])
    else:
        completion = (await gateway.chat(ChatRequest(params=params()), context)).completion
        told = completion.choices[0].message.content
    assert context.receipt is not None
    return told, context.receipt


def tried(receipt: Receipt) -> list[tuple[str, str]]:
    return sorted((each.candidate.backend, each.reason) for each in receipt.attempts)


everywhere = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)
both_ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


@everywhere
@both_ways
async def test_the_second_answers_for_a_slow_first(binding: Binding, streamed: bool) -> None:
    a, b = Upstream([[FOREVER]]), Upstream([says("b", streamed=streamed)])
    async with binding(hedging({"a": a, "b": b}, _SOON)) as gateway:
        told, receipt = await call(gateway, streamed=streamed)
        await a.released()
        status = await gateway.get_status(GetStatusRequest(), CallContext("s"))
    assert told == "b"
    assert receipt.served.backend == "b"
    assert tried(receipt) == [("a", "hedged"), ("b", "")]
    assert [each.in_flight for each in status.backends] == [0, 0]
    assert [each.failures for each in status.backends] == [0, 0]


@everywhere
@both_ways
async def test_the_first_may_win_after_all(binding: Binding, streamed: bool) -> None:
    go = asyncio.Event()
    a, b = Upstream([says("a", go, streamed=streamed)]), Upstream([[lambda _: go.set(), FOREVER]])
    async with binding(hedging({"a": a, "b": b}, _SOON)) as gateway:
        told, receipt = await call(gateway, streamed=streamed)
        await b.released()
    assert told == "a"
    assert tried(receipt) == [("a", ""), ("b", "hedged")]


@both_ways
async def test_one_that_fails_leaves_the_race_to_the_other(streamed: bool) -> None:
    go = asyncio.Event()
    a, b = (
        Upstream([[go, BROKEN]]),
        Upstream([says("b", lambda _: go.set(), a_over := asyncio.Event(), streamed=streamed)]),
    )
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        await a.released()
        a_over.set()
        told, receipt = await calling
    assert told == "b"
    assert tried(receipt) == [("a", BROKEN.message), ("b", "")]


@both_ways
async def test_a_refusal_is_not_answered_by_the_other(streamed: bool) -> None:
    go = asyncio.Event()
    a, b = Upstream([[go, REFUSED]]), Upstream([[lambda _: go.set(), FOREVER]])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        with pytest.raises(GatewayError) as raised:
            await call(gateway, streamed=streamed)
        await b.released()
    assert raised.value.code == "content_filter"


@both_ways
@pytest.mark.parametrize("refusal", [REFUSED, MISTAKE, CALLERS_KEY, KEY, BROKEN])
async def test_a_failure_beside_the_first_takes_nothing_from_it(
    refusal: GatewayError, streamed: bool
) -> None:
    """Whatever the second says, the first is waited for."""
    b_over = asyncio.Event()
    a, b = Upstream([says("a", b_over, streamed=streamed)]), Upstream([[refusal]])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        await b.released()
        b_over.set()
        told, receipt = await calling
    assert told == "a"
    assert [each.candidate.backend for each in receipt.attempts] == ["b", "a"]


@both_ways
async def test_a_refusal_beside_a_first_that_fails_is_told_when_its_turn_comes(streamed: bool) -> None:
    """The first is tried once more before; nobody is asked again who has refused, nor anybody behind."""
    b_over = asyncio.Event()
    a = Upstream([[b_over, BROKEN], [BROKEN]])
    b, c = Upstream([[MISTAKE]]), Upstream([says("c", streamed=streamed)])
    async with direct(hedging({"a": a, "b": b, "c": c}, _SOON)) as gateway:
        # The second try of the first is not raced.
        gateway._setup.backends["a"].hedges = Budget(share=0.0, floor=1.0)
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        await b.released()
        b_over.set()
        with pytest.raises(GatewayError) as raised:
            await calling
    assert raised.value.message == MISTAKE.message
    assert [len(each.calls) for each in (a, b, c)] == [2, 1, 0]


@both_ways
async def test_one_that_asked_for_time_beside_the_first_gets_it(streamed: bool) -> None:
    """The first failed later: it is the one that is tried again, whichever began last."""
    b_over = asyncio.Event()
    a = Upstream([[b_over, BROKEN], says("a", streamed=streamed)])
    b = Upstream([[from_upstream(429, "slow down", retry_after=20)]])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        await b.released()
        b_over.set()
        told, _ = await calling
    assert told == "a"
    assert [len(each.calls) for each in (a, b)] == [2, 1]


@both_ways
async def test_where_both_fail_the_plan_goes_on(streamed: bool) -> None:
    go = asyncio.Event()
    a = Upstream([[go, KEY]])
    b = Upstream([[lambda _: go.set(), KEY]])
    c = Upstream([says("c", streamed=streamed)])
    async with direct(hedging({"a": a, "b": b, "c": c}, _SOON)) as gateway:
        told, receipt = await call(gateway, streamed=streamed)
    assert told == "c"
    assert receipt.served.backend == "c"


@both_ways
async def test_a_caller_who_leaves_stops_both(streamed: bool) -> None:
    a, b = Upstream([[FOREVER]]), Upstream([[FOREVER]])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert (a.over, b.over) == (1, 1)


@everywhere
async def test_a_caller_who_has_read_enough_stops_the_winner(binding: Binding) -> None:
    a, b = Upstream([[FOREVER]]), Upstream([(role(), text("b"), FOREVER)])
    async with binding(hedging({"a": a, "b": b}, _SOON)) as gateway:
        request = StreamRequest(params=params())
        async with contextlib.aclosing(gateway.stream(request, CallContext("r"))) as stream:
            assert contents([await anext(stream)]) == "b"
        await a.released()
        await b.released()
        status = await gateway.get_status(GetStatusRequest(), CallContext("s"))
    assert [each.in_flight for each in status.backends] == [0, 0]


@both_ways
async def test_by_itself_it_hedges_what_takes_longer_than_others_did(streamed: bool) -> None:
    quick = says("a", streamed=streamed)
    a, b = Upstream([*[quick] * 20, [FOREVER]]), Upstream([says("b", streamed=streamed)])
    async with direct(hedging({"a": a, "b": b}, True)) as gateway:
        for _ in range(20):
            assert (await call(gateway, streamed=streamed))[0] == "a"
        assert not b.calls
        assert (await call(gateway, streamed=streamed))[0] == "b"


async def test_hedges_are_a_share_of_the_calls() -> None:
    """Without a hedge left the first one is waited for."""
    asked = 0
    go = asyncio.Event()

    class Empty(Budget):
        def spend(self) -> bool:
            nonlocal asked
            asked += 1
            go.set()
            return super().spend()

    a, b = Upstream([says("a", go, streamed=True)]), Upstream([says("b", streamed=True)])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        gateway._setup.backends["a"].hedges = Empty(share=0.1, floor=0.0)
        told, receipt = await call(gateway, streamed=True)
    assert (told, asked) == ("a", 1)
    assert tried(receipt) == [("a", "")]
    budget, hedges = Budget(share=0.1, floor=2.0), 0
    for _ in range(1000):
        budget.earn()
        hedges += budget.spend()
    assert 100 <= hedges <= 102


async def test_a_hedge_is_told_at_once_and_what_breaks_off_later_is_not_hedged_away() -> None:
    a, b = Upstream([[FOREVER]]), Upstream([A_CUT])
    context, responses = CallContext("r"), []
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        stream = gateway.stream(StreamRequest(params=params(), events=True), context)
        with contextlib.suppress(GatewayError):
            async for response in stream:
                responses.append(response)  # noqa: PERF401 - it raises
    told = [
        (AttemptEventKind.Name(event.kind)[19:], event.candidate.backend)
        for response in responses
        for event in response.events
    ]
    assert told[:2] == [("STARTED", "a"), ("STARTED", "b")]
    assert sorted(told[2:]) == [("COMMITTED", "b"), ("FAILED", "a"), ("FAILED", "b")]
    assert contents(responses) == "one two"


@both_ways
async def test_who_could_not_begin_beside_the_first_is_passed_once(
    streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it is looked at again when the first one has failed."""
    looked = asyncio.Event()
    limited = from_upstream(429, "slow down", retry_after=60)
    a, b = Upstream([[looked, BROKEN]]), Upstream([[limited]])

    class Spent(Budget):
        def spend(self) -> bool:
            asyncio.get_running_loop().call_soon(looked.set)
            return super().spend()

    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        gateway._setup.backends["a"].hedges = Spent(share=0.1, floor=1.0)
        with pytest.raises(GatewayError):
            await gateway.chat(ChatRequest(params=params("b/b-model")), CallContext("opens the breaker"))
        with caplog.at_level("INFO", "portico.calls"), pytest.raises(GatewayError) as raised:
            await call(gateway, streamed=streamed)
        labels = {"backend": "b", "reason": "open"}
        counted = gateway.metrics.registry.get_sample_value("portico_candidates_passed_total", labels)
    assert raised.value.code == BROKEN.code
    assert counted == 1
    assert "passed=b/b-model:open " in caplog.text


@both_ways
async def test_that_the_second_lacks_the_model_says_nothing_of_what_ailed_the_first(streamed: bool) -> None:
    """Whichever of the two fails last."""
    missing = from_upstream(404, "no such model", code="model_not_found")
    go = asyncio.Event()
    a, b = Upstream([[go, SILENT]]), Upstream([[lambda _: go.set(), over := asyncio.Event(), missing]])
    async with direct(hedging({"a": a, "b": b}, _SOON)) as gateway:
        calling = asyncio.create_task(call(gateway, streamed=streamed))
        await b.called()
        await a.released()
        over.set()
        with pytest.raises(GatewayError) as raised:
            await calling
    assert raised.value.code == SILENT.code


def test_the_slow_ones_are_known_after_twenty() -> None:
    tail = Tail()
    for milliseconds in range(19):
        tail.note(milliseconds)
    assert tail.slow() is None
    tail.note(19)
    assert tail.slow() == 19
    for milliseconds in range(100, 200):
        tail.note(milliseconds)
    # The last 64 alone: 136 to 199.
    assert tail.slow() == 196
