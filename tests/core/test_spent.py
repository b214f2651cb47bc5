"""What attempts cost beside the answer: told where their backends told it, else said to be unknown."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import pytest

from portico.errors import GatewayError, upstream_unreachable
from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.receipt_pb2 import Attempt, Receipt
from portico.v1.usage_pb2 import PromptTokensDetails, Usage, UsageSource
from portico_core.policy import HOLD, VERIFY, Policy
from portico_core.routing import Routes
from tests.core.cases import BROKEN, BUSY, MISTAKE, SILENT
from tests.support.core import (
    BINDINGS,
    FOREVER,
    USAGE,
    Binding,
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

Scripts: TypeAlias = Mapping[str, Sequence[Any]]

#: What a backend tells at the start of its stream, and what of that is in the receipt.
TOLD: Final = Usage(
    prompt_tokens=7,
    completion_tokens=1,
    total_tokens=8,
    prompt_tokens_details=PromptTokensDetails(cached_tokens=3),
)
COST: Final = Usage(prompt_tokens=7, completion_tokens=1, total_tokens=8)

TELLING: Final = StreamResponse(chunks=[ChatChunk(usage=TOLD)])
CUT: Final = (role(), text("one"), BROKEN)
CUT_AND_TOLD: Final = (role(), TELLING, text("one"), BROKEN)
WHOLE: Final = (role(), text("one two"), finish())


async def spend(binding: Binding, scripts: Scripts, policy: Policy, *, streamed: bool = True) -> Receipt:
    """Make a call; return its receipt."""
    settings = config({name: Upstream(each) for name, each in scripts.items()})
    routes = [replace(each, policy=policy) for each in settings.routes.routes]
    context = CallContext("req_1")
    async with binding(replace(settings, routes=Routes(routes, settings.routes.backends))) as gateway:
        with contextlib.suppress(GatewayError):
            if not streamed:
                await gateway.chat(ask(), context)
                return _receipt(context)
            async with contextlib.aclosing(gateway.stream(ask_stream(), context)) as responses:
                async for _ in responses:
                    pass
    return _receipt(context)


def _receipt(context: CallContext) -> Receipt:
    assert context.receipt is not None
    return context.receipt


def costs(receipt: Receipt) -> list[tuple[str, Usage | None, bool]]:
    def told(attempt: Attempt) -> Usage | None:
        return attempt.usage if attempt.HasField("usage") else None

    return [(each.candidate.backend, told(each), each.unpriced) for each in receipt.attempts]


everywhere = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)


@everywhere
async def test_what_was_thrown_away_is_told_or_unknown(binding: Binding) -> None:
    """The answer's usage is its own."""
    scripts: Scripts = {"a": [CUT_AND_TOLD, CUT], "b": [WHOLE]}
    receipt = await spend(binding, scripts, Policy(broken=HOLD))
    assert costs(receipt) == [("a", COST, False), ("a", None, True), ("b", None, False)]
    assert receipt.usage == USAGE


@everywhere
async def test_what_was_replaced_is_told_beside_the_answer_that_went_on(binding: Binding) -> None:
    scripts: Scripts = {"a": [CUT_AND_TOLD, WHOLE]}
    receipt = await spend(binding, scripts, Policy(broken=VERIFY))
    assert costs(receipt) == [("a", COST, False), ("a", None, False)]
    assert receipt.usage == USAGE


@everywhere
async def test_what_was_delivered_before_a_cut_stays_in_the_receipt(binding: Binding) -> None:
    """Also where another attempt was made that came to nothing; what that cost is unknown."""
    scripts: Scripts = {"a": [CUT_AND_TOLD, [SILENT]], "b": [[BUSY]]}
    receipt = await spend(binding, scripts, Policy(broken=VERIFY))
    assert receipt.served.backend == "a"
    assert receipt.usage == TOLD
    assert costs(receipt)[:2] == [("a", None, False), ("a", None, True)]


@everywhere
async def test_what_a_caller_has_of_a_cut_answer_is_estimated_and_not_counted_twice(binding: Binding) -> None:
    receipt = await spend(binding, {"a": [CUT]}, Policy())
    assert receipt.usage.source == UsageSource.USAGE_SOURCE_ESTIMATED
    assert costs(receipt) == [("a", None, False)]


@everywhere
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_what_one_that_lost_a_race_cost_is_unknown(binding: Binding, streamed: bool) -> None:
    told: Any = (role(), TELLING, FOREVER) if streamed else (FOREVER,)
    won: Any = WHOLE if streamed else (answer(),)
    receipt = await spend(binding, {"a": [told], "b": [won]}, Policy(hedge=0.005), streamed=streamed)
    lost = ("a", COST, False) if streamed else ("a", None, True)
    assert sorted(costs(receipt), key=lambda each: each[0]) == [lost, ("b", None, False)]
    assert receipt.usage == USAGE


@pytest.mark.parametrize(
    ("failure", "unpriced"),
    [
        (BUSY, False),
        (MISTAKE, False),
        (upstream_unreachable("nobody listens"), False),
        (SILENT, True),
        (BROKEN, True),
        (ValueError("of the adapter's"), True),
    ],
)
async def test_what_was_refused_cost_nothing(failure: Exception, unpriced: bool) -> None:
    receipt = await spend(direct, {"a": [[failure]]}, Policy(), streamed=False)
    assert {each.unpriced for each in receipt.attempts} == {unpriced}
    assert not receipt.HasField("usage")


async def test_an_answer_without_content_cost_what_it_says() -> None:
    empty = ChatResponse(completion=ChatCompletion(usage=TOLD))
    receipt = await spend(direct, {"a": [[empty]], "b": [[answer()]]}, Policy(), streamed=False)
    assert costs(receipt) == [("a", COST, False), ("a", COST, False), ("b", None, False)]


async def test_the_metrics_count_both_apart_from_the_answers_tokens() -> None:
    settings = config({"a": Upstream([CUT_AND_TOLD, CUT]), "b": Upstream([WHOLE])})
    routes = [replace(each, policy=Policy(broken=HOLD)) for each in settings.routes.routes]
    async with direct(replace(settings, routes=Routes(routes, settings.routes.backends))) as gateway:
        async for _ in gateway.stream(ask_stream(), CallContext("")):
            pass

        def value(name: str, **labels: str) -> float | None:
            return gateway.metrics.registry.get_sample_value(name, labels)

        assert value("portico_spent_tokens_total", backend="a", type="input") == 7
        assert value("portico_spent_tokens_total", backend="a", type="output") == 1
        assert value("portico_attempts_unpriced_total", backend="a") == 1
        assert value("portico_attempts_unpriced_total", backend="b") is None
        answered = {"model": "m", "backend": "b", "source": "backend"}
        assert value("portico_tokens_total", type="input", **answered) == USAGE.prompt_tokens
