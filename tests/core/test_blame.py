"""What it says of a candidate that a call ran out of time, or out of patience."""

import asyncio
from collections.abc import Mapping
from math import inf
from time import monotonic
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico.gateway import CallContext, Gateway
from portico.v1.gateway_pb2 import GetStatusRequest
from portico.v1.status_pb2 import BreakerState
from portico_core.config import Timeouts
from portico_core.resilience import blame
from portico_core.resilience.blame import had_its_share, was_hung
from tests.core.test_race import hedging
from tests.support.core import (
    BINDINGS,
    FOREVER,
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
from tests.support.link import until

OPEN: Final = BreakerState.BREAKER_STATE_OPEN
CLOSED: Final = BreakerState.BREAKER_STATE_CLOSED

everywhere = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)
both_ways = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


async def call(gateway: Gateway, *, streamed: bool, seconds: float | None = None) -> str:
    """Call with a deadline; return the backend that served, or the code of the error."""
    context = CallContext("r", deadline=None if seconds is None else monotonic() + seconds)
    try:
        if streamed:
            responses = [each async for each in gateway.stream(ask_stream(), context)]
            served = responses[0].served
        else:
            served = (await gateway.chat(ask(), context)).served
    except GatewayError as error:
        return error.code or ""
    return served.backend


async def breakers(gateway: Gateway) -> Mapping[str, BreakerState.ValueType]:
    status = await gateway.get_status(GetStatusRequest(), CallContext("s"))
    return {each.name: each.breaker for each in status.backends}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a silence say something after a short while."""
    monkeypatch.setattr(blame, "_LEAST", 0.01)
    monkeypatch.setattr(blame, "_COLD", 0.03)


@everywhere
@both_ways
async def test_one_that_hangs_is_left_though_each_caller_gives_up_before_its_silence_is_over(
    binding: Binding, streamed: bool
) -> None:
    """By a deadline."""
    a, b = Upstream([[FOREVER]]), Upstream([[role(), text("b"), finish()] if streamed else [answer()]])
    async with binding(config({"a": a, "b": b})) as gateway:
        told = [await call(gateway, streamed=streamed, seconds=0.1) for _ in range(5)]
        assert told == ["deadline_exceeded"] * 5
        await a.released()
        assert await call(gateway, streamed=streamed) == "b"
        assert (await breakers(gateway)) == {"a": OPEN, "b": CLOSED}


@everywhere
@both_ways
async def test_a_caller_who_leaves_one_that_hangs_counts_as_a_deadline_does(
    binding: Binding, streamed: bool
) -> None:
    a, b = Upstream([[FOREVER]]), Upstream([[role(), text("b"), finish()] if streamed else [answer()]])
    async with binding(config({"a": a, "b": b})) as gateway:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(gateway, streamed=streamed), 0.1)
            await a.released()
        assert (await breakers(gateway)) == {"a": OPEN, "b": CLOSED}
        assert await call(gateway, streamed=streamed) == "b"


@both_ways
async def test_a_caller_who_leaves_soon_says_nothing_of_one_that_has_not_answered_yet(
    monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    """Its first answer may wait for its model to be loaded; that of a deadline is counted all the same."""
    monkeypatch.setattr(blame, "_COLD", 30)
    a = Upstream([[FOREVER]])
    async with direct(config({"a": a, "b": Upstream([[FOREVER]])})) as gateway:
        for _ in range(8):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(gateway, streamed=streamed), 0.05)
        assert (await breakers(gateway))["a"] == CLOSED
        for _ in range(5):
            await call(gateway, streamed=streamed, seconds=0.05)
        assert (await breakers(gateway))["a"] == OPEN


@both_ways
async def test_calls_that_give_up_together_say_nothing_of_one_that_answers_others(streamed: bool) -> None:
    """Such as a batch with a deadline that is too short for its answers."""
    well = [role(), text("a"), finish()] if streamed else [answer()]
    a = Upstream([*([[FOREVER]] * 12), well])
    async with direct(config({"a": a, "b": Upstream([[FOREVER]])})) as gateway:
        async with asyncio.TaskGroup() as tasks:
            batch = [tasks.create_task(call(gateway, streamed=streamed, seconds=1)) for _ in range(12)]
            await until(lambda: len(a.calls) == 12, "the batch is not under way")
            assert await call(gateway, streamed=streamed) == "a"
        assert {each.result() for each in batch} == {"deadline_exceeded"}
        assert (await breakers(gateway))["a"] == CLOSED


@both_ways
async def test_a_deadline_that_is_short_for_the_usual_time_says_nothing(streamed: bool) -> None:
    """Of answers of that kind: streams begin sooner than whole answers come."""
    a = Upstream([[FOREVER]])
    async with direct(config({"a": a, "b": Upstream([[FOREVER]])})) as gateway:
        standing = gateway._setup.backends["a"].standings.of("a-model")
        standing.answered(60_000, streamed=streamed)
        standing.answered(1, streamed=not streamed)
        standing.answered_at = -inf
        for _ in range(8):
            assert await call(gateway, streamed=streamed, seconds=0.05) == "deadline_exceeded"
        assert (await breakers(gateway))["a"] == CLOSED
    assert len(a.calls) == 8


@both_ways
async def test_one_that_loses_a_race_is_not_left_by_its_caller(streamed: bool) -> None:
    """However long it was silent."""
    a, b = Upstream([[FOREVER]]), Upstream([[role(), text("b"), finish()] if streamed else [answer()]])
    async with direct(hedging({"a": a, "b": b}, 0.02)) as gateway:
        gateway._setup.backends["a"].hedges._left = 9
        assert [await call(gateway, streamed=streamed) for _ in range(6)] == ["b"] * 6
        assert (await breakers(gateway)) == {"a": CLOSED, "b": CLOSED}


async def test_the_time_that_others_took_is_not_laid_to_the_charge_of_the_last() -> None:
    """It had less than half of the total."""
    timeouts = Timeouts(silence=0.4, total=0.7)
    a, b = Upstream([[FOREVER]]), Upstream([[FOREVER]])
    async with direct(config({"a": a, "b": b}, timeouts=timeouts)) as gateway:
        for _ in range(5):
            assert await call(gateway, streamed=False) == "upstream_timeout"
        assert len(b.calls) == 5
        assert (await breakers(gateway)) == {"a": OPEN, "b": CLOSED}


async def test_one_that_had_all_of_the_total_is_to_blame() -> None:
    timeouts = Timeouts(silence=30, total=0.05)
    async with direct(config({"a": Upstream([[FOREVER]])}, timeouts=timeouts)) as gateway:
        for _ in range(5):
            assert await call(gateway, streamed=False) == "upstream_timeout"
        assert (await breakers(gateway)) == {"a": OPEN}


SECONDS: Final = st.floats(0, 1000)


@given(SECONDS, SECONDS, st.none() | SECONDS, SECONDS, st.booleans())
def test_the_longer_the_silence_the_more_it_says(
    silent: float, more: float, usual: float | None, others: float, left: bool
) -> None:
    """Nothing within four times what is usual, within a moment, or where others were answered meanwhile."""

    def hung(silent: float, others: float = inf) -> bool:
        return was_hung(silent, usual, others=others, left=left)

    assert not hung(silent) or hung(silent + more)
    if usual is not None:
        assert not hung(min(silent, 3.99 * usual))
        assert hung(4 * usual + 0.5)
    assert not hung(0.009)
    assert not hung(others + 0.001 + more, others)
    assert hung(silent, silent + more) == hung(silent)


@given(st.floats(0.001, 1000), st.floats(0, 1))
def test_half_of_the_time_is_a_share(total: float, part: float) -> None:
    assert had_its_share(total, total)
    assert had_its_share(total * part, total) == (total * part >= total / 2)
