"""Whose key a backend sees, and which of the caller's headers: the same for every HTTP adapter."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import portico
from portico.adapter import Adapter, Limits, UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.secret import Secret
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico_adapters.dummy import DummyAdapter, DummySettings
from portico_adapters.ollama import OllamaAdapter
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings

HEADERS = [
    Header(name="authorization", value=b"Bearer caller"),
    Header(name="x-api-key", value=b"caller-x"),
    Header(name="openai-organization", value=b"org"),
    Header(name="x-tenant-id", value="ténant".encode()),
    Header(name="x-latin", value=b"\xff"),
    Header(name="x-broken", value=b"a\r\nb"),
    Header(name="cookie", value=b"a=b"),
]
CALL = UpstreamCall(
    ChatCompletionParams(model="m", messages=[ChatMessage(role="user", content="hi")]), "m", HEADERS
)
OPENAI = {"id": "c", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
OLLAMA = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True}

#: Adapter, its settings, and what its backend answers.
ADAPTERS: dict[str, tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {
    "openai": (OpenAIAdapter, OpenAISettings, OPENAI, {"data": []}),
    "ollama": (OllamaAdapter, OllamaSettings, OLLAMA, {"models": []}),
}
each_adapter = pytest.mark.parametrize("dialect", ADAPTERS)


@asynccontextmanager
async def adapter(dialect: str, *answers: Answerer, **members: Any) -> AsyncIterator[tuple[Any, Upstream]]:
    kind, settings, _, _ = ADAPTERS[dialect]
    async with Upstream(*answers) as upstream:
        made = kind("b", settings(url=upstream.url, **members), Limits())
        try:
            yield made, upstream
        finally:
            await made.aclose()


async def seen(dialect: str, call: UpstreamCall = CALL, /, **members: Any) -> dict[str, str]:
    """Make a call; return the headers that the backend saw."""
    whole = answer(json.dumps(ADAPTERS[dialect][2]).encode())
    async with adapter(dialect, whole, **members) as (made, upstream):
        await made.chat(call)
        return upstream.requests[0].headers


@each_adapter
async def test_by_default_nothing_of_the_caller_reaches_the_backend(dialect: str) -> None:
    headers = await seen(dialect, api_key=Secret("ours"))
    assert headers["authorization"] == "Bearer ours"
    assert not headers.keys() & {"x-api-key", "openai-organization", "x-tenant-id", "cookie"}


@each_adapter
async def test_the_callers_trace_goes_on_under_the_name_that_the_gateway_was_given(dialect: str) -> None:
    """A trace that no header can hold does not; a gateway without a name is portico."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for told, sent in ((trace, trace), ("a\nb", None), ("", None), (None, None)):
        headers = await seen(dialect, replace(CALL, traceparent=told), user_agent="agent 7")
        assert (headers.get("traceparent"), headers["user-agent"]) == (sent, "agent 7")
    assert (await seen(dialect))["user-agent"] == f"portico/{portico.__version__}"


@each_adapter
async def test_the_callers_key_goes_in_place_of_the_gateways(dialect: str) -> None:
    headers = await seen(dialect, credentials="caller")
    assert headers["authorization"] == "Bearer caller"
    assert (headers["x-api-key"], headers["openai-organization"]) == ("caller-x", "org")
    assert not headers.keys() & {"x-tenant-id", "cookie"}


@each_adapter
async def test_headers_that_are_named_go_on_beside_the_gateways_key(dialect: str) -> None:
    """Byte for byte; what cannot stand in a header again does not."""
    names = ["X-Tenant-Id", "x-latin", "x-broken", "x-absent"]
    headers = await seen(dialect, api_key=Secret("ours"), pass_headers=names)
    assert headers["authorization"] == "Bearer ours"
    assert headers["x-tenant-id"].encode("latin-1").decode() == "ténant"
    assert not headers.keys() & {"x-latin", "x-broken", "x-absent", "cookie"}


@each_adapter
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("credentials", "told"), [("caller", None), ("gateway", 502)])
async def test_a_refused_key_is_its_owners_matter(
    dialect: str, status: int, credentials: str, told: int | None
) -> None:
    """The caller's own keeps its status and the backend's words; the gateway's is nothing to the caller."""
    refusal = answer(b'{"error": {"message": "no such key"}}', status)
    async with adapter(dialect, refusal, credentials=credentials) as (made, _):
        calls: list[Callable[[], Any]] = [lambda: made.chat(CALL), lambda: made.list_models(HEADERS)]
        for call in calls:
            with pytest.raises(GatewayError) as caught:
                await call()
            assert caught.value.error_class is ErrorClass.CREDENTIAL
            assert caught.value.http_status == (told or status)
            assert ("no such key" in caught.value.message) == (told is None)


@each_adapter
async def test_models_are_listed_with_the_callers_key(dialect: str) -> None:
    whole = answer(json.dumps(ADAPTERS[dialect][3]).encode())
    async with adapter(dialect, whole, credentials="caller") as (made, upstream):
        assert made.lists_by_caller
        await made.list_models(HEADERS)
        assert upstream.requests[0].headers["authorization"] == "Bearer caller"
    async with adapter(dialect, whole) as (made, _):
        assert not made.lists_by_caller


@each_adapter
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"user_agent": "a\nb"}, "user_agent: must be printable ASCII"),
        ({"pass_headers": ["traceparent"]}, "pass_headers: traceparent is the gateway's own"),
        ({"credentials": "both"}, "credentials: expected gateway or caller, found both"),
        ({"credentials": "caller", "api_key": Secret("k")}, "api_key: is not sent"),
        ({"pass_headers": ["x y"]}, "pass_headers: 'x y' is no header"),
        ({"pass_headers": ["Content-Length"]}, "pass_headers: Content-Length is the gateway's own"),
        ({"pass_headers": ["Authorization"]}, "pass_headers: Authorization holds a key"),
    ],
)
def test_what_cannot_be_meant_is_told(dialect: str, members: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ADAPTERS[dialect][1](url="http://h", **members)


def test_a_header_has_one_sender() -> None:
    with pytest.raises(ValueError, match="headers: X-Tenant is the caller's to send"):
        OpenAISettings(url="http://h", headers={"X-Tenant": Secret("t")}, pass_headers=["x-tenant"])


async def test_the_dummy_shows_a_header_that_reached_it() -> None:
    """As evidence that adapters get all of the caller's headers, unread."""
    dummy: Adapter = DummyAdapter("dummy", DummySettings(), Limits())
    call = UpstreamCall(CALL.params, "echo-1", [*HEADERS, Header(name="x-dummy-tag", value=b"tutorial")])
    assert (await dummy.chat(call)).completion.system_fingerprint == "dummy-tutorial"
    stream = [message async for message in dummy.stream(call)]
    assert stream[0].header.system_fingerprint == "dummy-tutorial"
