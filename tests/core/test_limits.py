"""How many attempts a backend is asked at a time, who waits, and what is turned away."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from portico.errors import ErrorClass, GatewayError, from_upstream
from portico.gateway import CallContext, Gateway
from portico.v1.gateway_pb2 import GetStatusRequest
from portico_core.backends import Backend
from portico_core.candidates import Candidate, Route
from portico_core.config import Concurrency, Config, Grpc, Timeouts
from portico_core.gateway import RoutingGateway
from portico_core.routing import Routes
from tests.support.core import (
    BINDINGS,
    FOREVER,
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


def limited(settings: Config, **limits: Concurrency) -> Config:
    """Return a configuration with limits for some of its backends."""
    return replace(
        settings,
        backends=tuple(
            replace(each, concurrency=limits.get(each.name, Concurrency())) for each in settings.backends
        ),
    )


async def queued(gateway: Gateway, count: int, number: int = 0) -> None:
    """Wait until so many calls wait at a backend, by its number."""
    waiting = -1
    async with asyncio.timeout(10):
        while waiting != count:
            status = await gateway.get_status(GetStatusRequest(), CallContext(""))
            waiting = status.backends[number].queued
            await asyncio.sleep(0.001)


def overload(error: BaseException | None) -> bool:
    """Tell whether an error is what callers hear who are turned away."""
    assert isinstance(error, GatewayError)
    return (error.error_class, error.http_status, error.code, error.retry_after) == (
        ErrorClass.CAPACITY, 503, "overloaded", 1.0,
    )  # fmt: skip


async def start(gateway: Gateway, *, streamed: bool = False, deadline: float | None = None) -> str:
    """Make a call; return who served."""
    context = CallContext("", deadline=deadline)
    if streamed:
        responses = [each async for each in gateway.stream(ask_stream(), context)]
        return responses[0].served.backend
    return (await gateway.chat(ask(), context)).served.backend


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_full_queue_goes_to_the_next_candidate_and_then_the_answer_is_503(
    binding: str, streamed: bool
) -> None:
    """One runs at each of two backends, one waits at each, one hears at once that there is no room."""
    go_on = asyncio.Event()
    script: Script = [go_on, role(), text("hello"), finish()] if streamed else [go_on, answer()]
    upstreams = {"a": Upstream([script]), "b": Upstream([script])}
    one = Concurrency(limit=1, queue=1)
    async with BINDINGS[binding](limited(config(upstreams), a=one, b=one)) as gateway:
        tasks = [asyncio.create_task(start(gateway, streamed=streamed))]
        await upstreams["a"].called()
        tasks.append(asyncio.create_task(start(gateway, streamed=streamed)))
        await queued(gateway, 1)
        tasks.append(asyncio.create_task(start(gateway, streamed=streamed)))
        await upstreams["b"].called()
        tasks.append(asyncio.create_task(start(gateway, streamed=streamed)))
        await queued(gateway, 1, number=1)
        await queued(gateway, 1)
        status = await gateway.get_status(GetStatusRequest(), CallContext(""))
        assert [each.in_flight for each in status.backends] == [1, 1]
        with pytest.raises(GatewayError) as caught:
            await start(gateway, streamed=streamed)
        assert overload(caught.value)
        assert [len(each.calls) for each in upstreams.values()] == [1, 1]
        go_on.set()
        assert await asyncio.gather(*tasks) == ["a", "a", "b", "b"]
        await queued(gateway, 0)


@pytest.mark.parametrize("binding", BINDINGS)
async def test_that_the_next_one_lacks_the_model_does_not_hide_that_the_first_is_busy(binding: str) -> None:
    """A caller who heard of an unknown model would not ask again."""
    go_on = asyncio.Event()
    missing = from_upstream(404, "no such model", code="model_not_found")
    upstreams = {"a": Upstream([[go_on, answer()]]), "b": Upstream([[missing]])}
    settings = limited(config(upstreams), a=Concurrency(limit=1, queue=0))
    async with BINDINGS[binding](settings) as gateway:
        running = asyncio.create_task(start(gateway))
        await upstreams["a"].called()
        with pytest.raises(GatewayError) as raised:
            await start(gateway)
        go_on.set()
        assert await running == "a"
    assert overload(raised.value)
    assert len(upstreams["b"].calls) == 1


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_call_that_is_given_up_gives_up_its_place_in_the_queue(binding: str) -> None:
    """When its client leaves, when its deadline passes, and when it ran."""
    go_on = asyncio.Event()
    upstream = Upstream([[FOREVER], [FOREVER], [go_on, answer()]])
    async with BINDINGS[binding](limited(config({"a": upstream}), a=Concurrency(1, 1))) as gateway:
        running = asyncio.create_task(start(gateway))
        await upstream.called()
        for _ in range(2):
            waiting = asyncio.create_task(start(gateway))
            await queued(gateway, 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            await queued(gateway, 0)
        loop = asyncio.get_running_loop()
        with pytest.raises(GatewayError) as caught:
            await start(gateway, deadline=loop.time() + 0.05)
        assert caught.value.code == "deadline_exceeded"
        await queued(gateway, 0)

        waiting = asyncio.create_task(start(gateway))
        await queued(gateway, 1)
        running.cancel()
        await upstream.called(2)
        waiting.cancel()
        last = asyncio.create_task(start(gateway))
        await upstream.called(3)
        go_on.set()
        assert await last == "a"


async def test_nobody_waits_longer_than_for_a_silent_backend() -> None:
    """Nor longer than there is time."""
    (settings,) = limited(config({"a": Upstream()}), a=Concurrency(1, 9)).backends
    for silence, patience in ((0.001, 10.0), (10.0, 0.001)):
        backend = Backend(replace(settings, timeouts=Timeouts(silence=silence)))
        assert await backend.take(Candidate("a", "x"), 1, streamed=True) is not None
        async with asyncio.timeout(5):
            assert await backend.take(Candidate("a", "x"), patience, streamed=True) is None
        assert backend.queued() == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_nobody_waits_who_would_have_too_little_time_left(streamed: bool) -> None:
    """For an answer as they usually come: it is turned away at once. A place that is free is taken."""
    upstream = Upstream([[FOREVER]])
    async with direct(limited(config({"a": upstream}), a=Concurrency(1, 9))) as gateway:
        standing = gateway._setup.backends["a"].standings.of("a-model")
        standing.answered(60_000, streamed=streamed)
        # Streams begin sooner than whole answers come, or the other way round: each counts for its like.
        for _ in range(10):
            standing.answered(1, streamed=not streamed)
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(start(gateway, streamed=streamed, deadline=loop.time() + 50))
        await upstream.called()
        with pytest.raises(GatewayError) as caught:
            async with asyncio.timeout(5):
                await start(gateway, streamed=streamed, deadline=loop.time() + 50)
        assert overload(caught.value)
        waiting = asyncio.create_task(start(gateway, streamed=streamed, deadline=loop.time() + 70))
        await queued(gateway, 1)
        running.cancel()
        await upstream.called(2)
        waiting.cancel()
        await asyncio.wait([running, waiting])


async def test_a_deadline_that_has_all_but_passed_in_the_queue_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The timer that ends the wait may fire a little before."""
    upstream = Upstream([[FOREVER]])
    async with direct(limited(config({"a": upstream}), a=Concurrency(1, 9))) as gateway:
        running = asyncio.create_task(start(gateway))
        await upstream.called()
        monkeypatch.setattr(CallContext, "remaining", lambda _: 0.004)
        with pytest.raises(GatewayError) as caught:
            await start(gateway, deadline=asyncio.get_running_loop().time() + 50)
        assert caught.value.code == "deadline_exceeded"
        running.cancel()
        await asyncio.wait([running])


async def test_a_candidate_may_have_a_limit_of_its_own() -> None:
    """It counts beside its backend's."""
    upstream = Upstream([[FOREVER]])
    settings = limited(config({"a": upstream}), a=Concurrency(2, 0))
    route = Route("m", (Candidate("a", "small", limit=1, queue=0),))
    other = Route("n", (Candidate("a", "other"),))
    async with direct(replace(settings, routes=Routes([route, other], ["a"]))) as gateway:
        tasks = [asyncio.create_task(gateway.chat(ask("m"), CallContext("")))]
        await upstream.called()
        with pytest.raises(GatewayError) as caught:
            await gateway.chat(ask("m"), CallContext(""))
        assert overload(caught.value)
        tasks.append(asyncio.create_task(gateway.chat(ask("n"), CallContext(""))))
        await upstream.called(2)
        with pytest.raises(GatewayError) as caught:
            await gateway.chat(ask("n"), CallContext(""))
        assert overload(caught.value)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_an_attempt_that_is_over_holds_no_place() -> None:
    """Whether it failed or answered."""
    failing = Upstream([[GatewayError(ErrorClass.UPSTREAM, 504, "", "", "upstream_timeout")], [answer()]])
    one = Concurrency(1, 0)
    async with direct(limited(config({"a": failing, "b": Upstream([[answer()]])}), a=one, b=one)) as gateway:
        assert await start(gateway) == "b"
        assert await start(gateway) == "a"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_beyond_max_calls_the_core_turns_calls_away(binding: str, streamed: bool) -> None:
    """With 503 and Retry-After, before anything is done; probes are still answered."""
    upstream = Upstream([[FOREVER]])
    settings = replace(config({"a": upstream}), grpc=Grpc(max_calls=2))
    async with BINDINGS[binding](settings) as gateway:
        tasks = [asyncio.create_task(start(gateway, streamed=streamed)) for _ in range(2)]
        await upstream.called(2)
        with pytest.raises(GatewayError) as caught:
            await start(gateway, streamed=streamed)
        assert overload(caught.value)
        assert (await gateway.get_status(GetStatusRequest(), CallContext(""))).backends[0].attempts == 2
        if isinstance(gateway, RoutingGateway):
            assert gateway.metrics.registry.get_sample_value("portico_calls_shed_total") == 1
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await upstream.released()
        task = asyncio.create_task(start(gateway))
        await upstream.called(3)
        task.cancel()
        await asyncio.wait([task])


async def test_an_attempt_that_never_began_holds_no_place() -> None:
    """A caller who wants to be told of attempts may leave when it hears that one begins."""
    upstream = Upstream([[role(), text("hello"), finish()]])
    async with direct(limited(config({"a": upstream}), a=Concurrency(1, 0))) as gateway:
        for _ in range(2):
            request = ask_stream()
            request.events = True
            async with contextlib.aclosing(gateway.stream(request, CallContext(""))) as responses:
                first = await anext(responses)
                assert first.events
        assert not upstream.calls
        assert await start(gateway, streamed=True) == "a"
