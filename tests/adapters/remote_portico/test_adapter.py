"""The adapter for another core: what reaches that core, and what comes back from it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from grpc import aio

from portico.adapter import Adapter, UpstreamCall
from portico.config import ConfigError, fill, parse
from portico.errors import ErrorClass, GatewayError, from_upstream, invalid_request, upstream_failed
from portico.secret import Secret
from portico.testing.contract import messages_of
from portico.testing.watch import Signs
from portico.v1.headers_pb2 import Header
from portico_adapters.remote_portico import RemotePorticoAdapter, RemotePorticoSettings
from portico_core.config import Key
from tests.adapters.remote_portico.gateways import call, calling, far, listening
from tests.support.core import FOREVER, Script, Upstream, answer, config, contents, finish, role, text


@asynccontextmanager
async def over(*script: Script) -> AsyncIterator[tuple[RemotePorticoAdapter, Upstream]]:
    """Yield an adapter, and the backend of the core that it calls."""
    upstream = Upstream(script)
    async with far(config({"a": upstream})) as adapter:
        yield adapter, upstream


async def _chat(adapter: Adapter, asked: UpstreamCall) -> object:
    return await adapter.chat(asked)


WAYS: dict[str, Callable[[Adapter, UpstreamCall], Awaitable[object]]] = {
    "unstreamed": _chat,
    "streamed": messages_of,
}
EACH_WAY = pytest.mark.parametrize("way", WAYS)


async def failure(adapter: Adapter, way: str, asked: UpstreamCall | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await WAYS[way](adapter, asked or call())
    return caught.value


@EACH_WAY
async def test_the_other_core_sees_the_trace_and_who_calls(way: str) -> None:
    """As metadata; gRPC adds its own name to the user agent."""
    seen: dict[str, str] = {}
    async with sniffed(seen) as target, calling(target, user_agent="agent 7") as adapter:
        await failure(adapter, way, call(traceparent="00-1-2-01"))
    assert seen["traceparent"] == "00-1-2-01"
    assert seen["user-agent"].startswith("agent 7 grpc-")


@asynccontextmanager
async def sniffed(seen: dict[str, str]) -> AsyncIterator[str]:
    """Run a server that notes the metadata of every call, and implements none; yield where it listens."""

    class Noting(aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> None:
            seen.update(handler_call_details.invocation_metadata)

    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        server = aio.server(interceptors=[Noting()])
        server.add_insecure_port(f"unix:{folder}/core.sock")
        await server.start()
        try:
            yield f"unix:{folder}/core.sock"
        finally:
            await server.stop(None)


async def test_answers_come_as_they_are() -> None:
    """The message that the far backend gave, under the name that was asked of the other core."""
    given = answer("hello")
    given.completion.extra_json = '{"cost": 12345678901234567890}'
    given.headers.add(name="x-ratelimit-limit-tokens", value=b"9")
    async with over([given], [role(), text("Hel", "lo"), finish()]) as (adapter, _):
        got = await adapter.chat(call())
        messages = await messages_of(adapter, call())
    given.completion.model = "m"
    assert got.completion == given.completion
    assert list(got.headers) == list(given.headers)
    assert contents(messages) == "Hello"


@EACH_WAY
async def test_the_request_id_and_the_deadline_go_along(way: str) -> None:
    """The other core logs the one and keeps the other; it asks for the model under its own name there."""
    deadline = time.monotonic() + 100
    async with over([FOREVER]) as (adapter, upstream):
        task = asyncio.ensure_future(WAYS[way](adapter, call(deadline=deadline)))
        await upstream.called()
        task.cancel()
        await asyncio.wait([task])
    (seen,) = upstream.calls
    assert seen.request_id == "req-1"
    assert seen.params.model == "m"
    assert seen.deadline is not None
    assert abs(seen.deadline - deadline) < 1


@EACH_WAY
async def test_a_deadline_that_passes_is_the_callers(way: str) -> None:
    """No other candidate has time left."""
    async with over([FOREVER]) as (adapter, upstream):
        error = await failure(adapter, way, call(deadline=time.monotonic() + 0.1))
        assert (error.error_class, error.code) == (ErrorClass.CALLER, "deadline_exceeded")
        await upstream.released()


@EACH_WAY
@pytest.mark.parametrize("script", [[FOREVER], [role(), FOREVER]], ids=["silent", "begun"])
async def test_cancelling_stops_the_backend_of_the_other_core(way: str, script: Script) -> None:
    """Within a second."""
    async with over(script) as (adapter, upstream):
        task = asyncio.ensure_future(WAYS[way](adapter, call()))
        await upstream.called()
        task.cancel()
        async with asyncio.timeout(1):
            await upstream.released()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_leaving_a_stream_stops_the_backend_of_the_other_core() -> None:
    """As the core does when its caller has left."""
    async with over([role(), text("Hel"), FOREVER]) as (adapter, upstream):
        async with aclosing(adapter.stream(call())) as messages:
            assert contents([await anext(messages)]) == "Hel"
        async with asyncio.timeout(1):
            await upstream.released()


async def test_every_message_is_a_sign_of_life() -> None:
    """And none is waited for: they come one by one while the backend goes on."""
    alive, go_on = Signs(), asyncio.Event()
    async with (
        over([role(), text("Hel"), go_on, text("lo"), FOREVER]) as (adapter, _),
        aclosing(adapter.stream(replace(call(), alive=alive))) as messages,
    ):
        await anext(messages)
        assert alive.count == 1
        go_on.set()
        assert contents([await anext(messages)]) == "lo"
        assert alive.count == 2
    alive = Signs()
    async with over([answer()]) as (adapter, _):
        await adapter.chat(replace(call(), alive=alive))
    assert alive.count == 1


RATES = [Header(name="x-ratelimit-limit", value=b"9")]
# What the far backend does wrong; its error reaches the near caller as it is.
ERRORS = {
    "a mistake": invalid_request("temperature is too high", "temperature", "too_hot"),
    "an unknown model": from_upstream(404, "no such model"),
    "a rate limit": from_upstream(429, "slow down", retry_after=7.5, headers=RATES),
    "a quota": from_upstream(429, "pay", code="insufficient_quota"),
    "a refused key of its own": from_upstream(401, "bad key"),
    "a refused key of the caller": from_upstream(401, "bad key", callers_key=True),
    "a failure": upstream_failed("The backend broke off."),
    "a timeout": from_upstream(504, "late"),
}


@EACH_WAY
@pytest.mark.parametrize("given", ERRORS.values(), ids=ERRORS)
async def test_errors_of_a_backend_come_unchanged(way: str, given: GatewayError) -> None:
    """Class, status, type, code, param, words, headers and when to ask again."""
    async with over([given]) as (adapter, _):
        error = await failure(adapter, way)
    for name in ("error_class", "http_status", "message", "type", "code", "param", "retry_after"):
        assert getattr(error, name) == getattr(given, name), name
    assert list(error.headers) == list(given.headers)
    assert error.upstream_status == given.http_status
    assert error.__cause__ is None, "an error that is its own cause"


async def test_an_error_ends_a_stream_behind_what_came_before_it() -> None:
    """The same error."""
    async with (
        over([role(), text("Hel"), ERRORS["a failure"]]) as (adapter, _),
        aclosing(adapter.stream(call())) as messages,
    ):
        assert contents([await anext(messages)]) == "Hel"
        with pytest.raises(GatewayError, match="broke off"):
            await anext(messages)


@EACH_WAY
@pytest.mark.parametrize("key", [None, Secret("wrong")])
async def test_a_key_that_the_other_gateway_refuses_is_ours(way: str, key: Secret | None) -> None:
    """The caller hears of no key, and another candidate may do better; the right key opens."""
    settings = replace(config({"a": Upstream([[answer()]])}), keys=(Key("near", Secret("right")),))
    async with listening(settings) as (target, _):
        async with calling(target, api_key=key) as adapter:
            error = await failure(adapter, way)
            with pytest.raises(GatewayError) as unlisted:
                await adapter.list_models(())
        async with calling(target, api_key=Secret("right")) as adapter:
            assert await adapter.chat(call())
            await adapter.list_models(())
    for each in (error, unlisted.value):
        assert (each.error_class, each.http_status) == (ErrorClass.CREDENTIAL, 502)
        assert each.upstream_status == 401
        assert "key" not in each.message.lower()
        assert "key" in each.detail


@EACH_WAY
async def test_a_core_that_is_not_there_is_an_upstream_failure(way: str) -> None:
    """So that the next candidate is tried."""
    async with calling("unix:/nowhere/core.sock") as adapter:
        error = await failure(adapter, way)
    assert (error.error_class, error.http_status, error.upstream_status) == (ErrorClass.UPSTREAM, 502, 0)
    assert "nowhere" not in error.message
    assert error.detail


@EACH_WAY
async def test_a_core_that_drains_is_an_upstream_failure(way: str) -> None:
    """So that the next candidate is tried."""
    async with listening(config({"a": Upstream()})) as (target, gateway), calling(target) as adapter:
        gateway.drain()
        error = await failure(adapter, way)
    assert (error.error_class, error.http_status, error.upstream_status) == (ErrorClass.UPSTREAM, 502, 503)


CALLERS = [
    Header(name="authorization", value=b"Bearer caller"),
    Header(name="cookie", value=b"a=b"),
    Header(name="x-tenant", value=b"t"),
]
# Settings -> which of the caller's headers the other core's backend may see.
PASSED: dict[str, tuple[dict[str, object], set[str]]] = {
    "none": ({}, set()),
    "named ones": ({"pass_headers": ["x-tenant"]}, {"x-tenant"}),
    "keys": ({"credentials": "caller"}, {"authorization"}),
}


@pytest.mark.parametrize(("members", "expected"), PASSED.values(), ids=PASSED)
async def test_the_callers_headers_go_on_where_the_settings_say_so(
    members: dict[str, object], expected: set[str]
) -> None:
    """Beside the count of gateways; our key never goes among them."""
    upstream = Upstream([[answer()]])
    async with far(config({"a": upstream}), api_key=Secret("ours"), **members) as adapter:
        await adapter.chat(call(headers=CALLERS))
    seen = {header.name: header.value for header in upstream.calls[0].headers}
    assert seen.keys() == {*expected, "x-portico-hops"}
    assert b"Bearer ours" not in seen.values()


# Members of a backend in the configuration -> what is said of them.
MISTAKES = {
    "{}": "target is missing",
    '{target: "grpc://far:50051"}': "target: expected HOST:PORT",
    "{target: far}": "target: expected HOST:PORT",
    '{target: "far:1", api_key: "key\\n"}': "api_key: must be printable ASCII",
    '{target: "far:1", credentials: me}': "credentials: expected gateway or caller",
}


@pytest.mark.parametrize(("written", "complaint"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_in_the_settings_is_named(written: str, complaint: str) -> None:
    """With the member, and never with a key."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        fill(RemotePorticoSettings, parse(written, "portico.yaml", {}))
    assert "key\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target", ["far:1", "[::1]:1", "dns:///far:1", "unix:/far", "ipv4:1.1.1.1:1,1.1.1.2:1"]
)
def test_targets_are_those_of_grpc(target: str) -> None:
    """And a key does not print."""
    assert "s3cret" not in repr(RemotePorticoSettings(target=target, api_key=Secret("s3cret")))
