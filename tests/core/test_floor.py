"""Never all: whatever candidates did before, a call is tried by somebody who may serve it."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.errors import GatewayError, from_upstream, invalid_request
from portico.gateway import CallContext
from portico_core.candidates import Candidate, Route
from portico_core.resilience import breaker, plan
from portico_core.routing import Routes
from tests.core.cases import BROKEN, BUSY, KEY, MISTAKE, SILENT
from tests.core.test_ailing import FINE, call
from tests.support.core import BINDINGS, Binding, Script, Upstream, ask, config, direct, over_grpc

LIMITED: Final = from_upstream(429, "slow down", retry_after=60)
# As that, but it passes when somebody pays: that the backend asks for time is no reason to believe it.
UNPAID: Final = from_upstream(402, "no money", retry_after=60)
MISSING: Final = from_upstream(404, "no such model", code="model_not_found")
TOO_LONG: Final = invalid_request("too long", code="context_length_exceeded")

FAILURES: Final = (BROKEN, BUSY, KEY, LIMITED, MISSING, MISTAKE, SILENT, TOO_LONG, UNPAID)
OUTCOMES: Final = st.sampled_from((None, *FAILURES))


def script(outcome: GatewayError | None) -> Script:
    return FINE if outcome is None else [outcome]


async def calls_of(upstreams: Sequence[Upstream], calls: int) -> None:
    """Make calls: each must be tried by a candidate, and by none that another was tried after.

    But for one that a backend has asked to be spared.
    """
    async with direct(config({str(number): each for number, each in enumerate(upstreams)})) as gateway:
        for _ in range(calls):
            before = sum(len(each.calls) for each in upstreams)
            context = CallContext("")
            error = None
            try:
                await gateway.chat(ask(), context)
            except GatewayError as raised:
                error = raised
            if sum(len(each.calls) for each in upstreams) == before:
                assert error is not None
                assert (error.code, error.http_status) == ("rate_limit_exceeded", 429)
                assert 0 < (error.retry_after or 0) <= 60
                assert any([LIMITED] in each.scripts or [BUSY] in each.scripts for each in upstreams)
            assert context.receipt is not None
            tried = [each.candidate.backend for each in context.receipt.attempts]
            assert [name for name, _ in groupby(tried)] == list(dict.fromkeys(tried))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.lists(OUTCOMES, min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 25),
    st.sampled_from([0.0, 15.0]),
)
def test_no_sequence_of_failures_leaves_a_call_without_a_try(
    outcomes: list[list[GatewayError | None]], calls: int, cooldown: float
) -> None:
    """With cooldowns that are over at once, breakers are half-open and return; else they stay open."""
    with (
        patch.multiple(plan, _FIRST=0.0, _FIRST_WHEN_BUSY=0.0, _SHORT=0.0),
        patch.object(breaker, "_COOLDOWN", cooldown),
        patch.object(breaker, "_BRIEF", cooldown),
    ):
        asyncio.run(calls_of([Upstream([script(each) for each in one]) for one in outcomes], calls))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.data())
def test_one_that_is_well_again_is_found_whatever_all_did_before(count: int, data: st.DataObject) -> None:
    """Once every breaker is open, the next calls go to somebody, and a whole one closes again."""
    failure = data.draw(st.sampled_from([KEY, UNPAID, SILENT]))
    upstreams = [Upstream([*[[failure]] * 5, FINE]) for _ in range(count)]

    async def run() -> None:
        async with direct(config({str(number): each for number, each in enumerate(upstreams)})) as gateway:
            answers = [await call(gateway) for _ in range(5 * count + 1)]
            assert answers[-1] in map(str, range(count))

    asyncio.run(run())


async def ailing(
    binding: Binding, first: Upstream, second: Upstream, route: Route | None = None
) -> tuple[str, Sequence[str]]:
    """Make two calls, the first of which opens the first candidate's breaker.

    Returns what comes of the second one, and who was tried for it.
    """
    settings = config({"a": first, "b": second})
    if route is not None:
        settings = config({"a": first, "b": second}, {})
        settings = type(settings)(settings.grpc, settings.backends, Routes([route], settings.routes.backends))
    async with binding(settings) as gateway:
        await call(gateway)
        context = CallContext("")
        try:
            came = (await gateway.chat(ask(), context)).served.backend
        except GatewayError as error:
            came = error.code or ""
        assert context.receipt is not None
        return came, [each.candidate.backend for each in context.receipt.attempts]


@pytest.mark.parametrize("unfit", [MISSING, KEY])
@pytest.mark.parametrize("binding", [direct, over_grpc])
async def test_one_whose_breaker_is_open_is_better_than_one_that_cannot_serve(
    binding: Binding, unfit: GatewayError
) -> None:
    """It is asked after all the others, and may be well by now."""
    came, tried = await ailing(binding, Upstream([[UNPAID], FINE]), Upstream([[unfit]]))
    # The second one's own breaker is open for a key: it is due later than the first one's.
    assert (came, tried[-1]) == ("a", "a")


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)
async def test_what_ails_the_first_is_told_not_that_the_second_lacks_the_model(binding: Binding) -> None:
    came, tried = await ailing(binding, Upstream([[LIMITED]]), Upstream([[MISSING]]))
    assert (came, tried) == ("rate_limit_exceeded", ["b"])
    came, tried = await ailing(binding, Upstream([[UNPAID]]), Upstream([[MISSING]]))
    assert (came, tried) == ("insufficient_quota", ["b", "a"])


async def test_where_one_was_tried_that_could_serve_the_open_one_is_left_alone() -> None:
    """The floor is kept: one more that ails would only make the error come later."""
    a, b = Upstream([[LIMITED]]), Upstream([FINE, [SILENT]])
    came, tried = await ailing(direct, a, b)
    assert (came, tried) == ("upstream_timeout", ["b"])


@pytest.mark.parametrize(("context", "tried"), [(200, ["b", "a"]), (50, ["b"])])
async def test_of_a_prompt_that_is_too_long_only_a_larger_context_that_is_open_is_asked(
    context: int, tried: list[str]
) -> None:
    route = Route("m", (Candidate("a", "x", context=context), Candidate("b", "x", context=100)))
    came, asked = await ailing(direct, Upstream([[UNPAID], FINE]), Upstream([FINE, [TOO_LONG]]), route)
    assert (came, asked) == ("a" if len(tried) == 2 else "context_length_exceeded", tried)


async def test_who_is_passed_is_named_once_however_often_it_is_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both are open; the one that is tried at last is not passed."""
    async with direct(config({"a": Upstream([[SILENT]]), "b": Upstream([[SILENT]])})) as gateway:
        for _ in range(5):
            await call(gateway)
        with caplog.at_level("INFO", "portico.calls"):
            await call(gateway)
    assert "passed=b/b-model:open " in caplog.text
