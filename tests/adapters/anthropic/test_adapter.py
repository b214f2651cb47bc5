"""What goes to the API and comes back: keys, versions, limits, pages of models."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from portico.adapter import Limits, UpstreamCall
from portico.errors import GatewayError
from portico.secret import Secret
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.headers_pb2 import Header
from portico_adapters.anthropic import AnthropicAdapter
from tests.adapters.anthropic.fixtures import CALL, MODEL, read, settings_for

LIMITS = (
    ("anthropic-ratelimit-requests-remaining", "4"),
    ("anthropic-ratelimit-input-tokens-remaining", "5"),
    ("request-id", "req_9"),
)
KEPT = [Header(name="x-ratelimit-remaining-requests", value=b"4")]


@asynccontextmanager
async def backend(*answers: Answerer, **settings: Any) -> AsyncIterator[tuple[AnthropicAdapter, Upstream]]:
    """Yield an adapter and its server, which gives these answers."""
    async with Upstream(*answers) as upstream:
        adapter = AnthropicAdapter("claude", settings_for(upstream.url, **settings), Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()


async def chat(adapter: AnthropicAdapter, call: UpstreamCall = CALL) -> Any:
    return (await adapter.chat(call)).headers


async def stream(adapter: AnthropicAdapter, call: UpstreamCall = CALL) -> Any:
    async with aclosing(adapter.stream(call)) as messages:
        return [header for message in [message async for message in messages] for header in message.headers]


WAYS = {
    chat: (None, answer(read("text.json"), headers=LIMITS)),
    stream: (True, streamed(read("text.txt"), headers=LIMITS, size=99)),
}


@pytest.mark.parametrize(("ask", "expected"), WAYS.items(), ids=lambda value: getattr(value, "__name__", ""))
async def test_each_way_is_asked_for(ask: Any, expected: Any) -> None:
    """With key, version, beta features and request id. Rate limits come back in OpenAI's words, once."""
    streams, script = expected
    async with backend(script, api_key=Secret("sk-ant-api-1"), beta=["a", "b"]) as (adapter, upstream):
        assert list(await ask(adapter)) == KEPT
    (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert (request.json()["model"], request.json().get("stream")) == (MODEL, streams)
    names = ("x-api-key", "anthropic-version", "anthropic-beta", "x-request-id")
    assert [request.headers[name] for name in names] == ["sk-ant-api-1", "2023-06-01", "a,b", "req_1"]
    assert "authorization" not in request.headers


async def test_a_token_is_sent_as_a_bearers() -> None:
    """For OAuth, and hosts that want it so; below a path of the host's own."""
    async with Upstream(answer(read("text.json"))) as upstream:
        settings = settings_for(f"{upstream.url}/anthropic", auth_token=Secret("t"), version="2026-10-21")
        adapter = AnthropicAdapter("foundry", settings, Limits())
        await adapter.chat(CALL)
        await adapter.aclose()
    (request,) = upstream.requests
    assert request.path == "/anthropic/v1/messages"
    assert (request.headers["authorization"], request.headers["anthropic-version"]) == (
        "Bearer t",
        "2026-10-21",
    )
    assert "x-api-key" not in request.headers


@pytest.mark.parametrize(
    ("theirs", "sent"),
    [
        ({"authorization": "Bearer sk-ant-api03-x"}, {"x-api-key": "sk-ant-api03-x"}),
        ({"Authorization": "bearer sk-ant-oat01-x"}, {"authorization": "bearer sk-ant-oat01-x"}),
        ({"x-api-key": "sk-ant-api03-y"}, {"x-api-key": "sk-ant-api03-y"}),
        ({}, {}),
    ],
)
async def test_the_callers_key_goes_where_the_api_looks_for_it(
    theirs: dict[str, str], sent: dict[str, str]
) -> None:
    """Clients of OpenAI's API have it as bearer token. For calls, streams and lists of models."""
    headers = [Header(name=name, value=value.encode()) for name, value in theirs.items()]
    call = replace(CALL, headers=headers)
    scripts = answer(read("text.json")), streamed(read("text.txt")), answer(b'{"data":[]}')
    async with backend(*scripts, credentials="caller") as (adapter, upstream):
        assert adapter.lists_by_caller
        await chat(adapter, call)
        await stream(adapter, call)
        await adapter.list_models(headers)
    for request in upstream.requests:
        found = {
            name: request.headers[name] for name in ("authorization", "x-api-key") if name in request.headers
        }
        assert found == sent


async def test_a_refused_key_of_the_caller_is_the_callers_matter() -> None:
    """401, with the API's words; inside a stream too."""
    body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
    event = b"event: error\ndata: %b\n\n" % body
    async with backend(answer(body, 401), streamed(event), credentials="caller") as (adapter, _):
        for ask in (chat, stream):
            with pytest.raises(GatewayError) as raised:
                await ask(adapter)
            assert (raised.value.http_status, raised.value.message) == (401, "invalid x-api-key")


async def test_models_are_listed_page_by_page() -> None:
    """Those that can be called, with what they can do and the day on which they go."""
    first = b"""{"data":[{"type":"model","id":"claude-a","display_name":"Claude A","max_tokens":64000,
        "created_at":"2026-02-04T00:00:00Z","lifecycle":"deprecated","retires_at":"2027-01-31T00:00:00Z"},
        {"type":"model","id":"claude-0","lifecycle":"retired"}],"has_more":true,"last_id":"claude-0"}"""
    second = b"""{"data":[{"type":"model","id":"claude-b","created_at":"1970-01-01T00:00:00Z",
        "capabilities":{"thinking":{"supported":true}}}],"has_more":false,"last_id":"claude-b"}"""
    async with backend(answer(first), answer(second), api_key=Secret("k")) as (adapter, upstream):
        a, b = await adapter.list_models(())
    assert [request.path for request in upstream.requests] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=claude-0",
    ]
    assert all(request.headers["x-api-key"] == "k" for request in upstream.requests)
    assert (a.id, a.created, a.owned_by, a.shutdown_date) == (
        "claude-a",
        1770163200,
        "anthropic",
        "2027-01-31",
    )
    assert a.extra_json == '{"display_name":"Claude A","max_tokens":64000,"lifecycle":"deprecated"}'
    assert (b.id, b.HasField("created"), b.extra_json) == (
        "claude-b",
        False,
        '{"capabilities":{"thinking":{"supported":true}}}',
    )


async def test_a_list_that_goes_in_a_circle_ends() -> None:
    """A server that does not know after_id says the same for ever."""
    page = b'{"data":[{"id":"claude-a"}],"has_more":true,"last_id":"claude-a"}'
    async with backend(answer(page)) as (adapter, _):
        assert [model.id for model in await adapter.list_models(())] == ["claude-a"]
