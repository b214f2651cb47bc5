"""What goes to the API and comes back: addresses, keys, pages of models; and the configuration."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from portico.adapter import EmbeddingCall, Limits
from portico.errors import GatewayError
from portico.secret import Secret
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.completions_pb2 import TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.headers_pb2 import Header
from portico_adapters.gemini import GeminiAdapter, resource
from tests.adapters.gemini.fixtures import CALL, read, settings_for

EMBED = EmbeddingCall(
    EmbeddingParams(input=TextInput(text="a"), dimensions=2, extra_json='{"taskType":"CLUSTERING"}'),
    "gemini-embedding-001",
)
VECTOR = b'{"embeddings":[{"values":[0.5,1]}]}'


@asynccontextmanager
async def backend(*answers: Answerer, **settings: Any) -> AsyncIterator[tuple[GeminiAdapter, Upstream]]:
    """Yield an adapter and its server, which gives these answers."""
    async with Upstream(*answers) as upstream:
        adapter = GeminiAdapter("google", settings_for(upstream.url, **settings), Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()


async def stream(adapter: GeminiAdapter, call: Any = CALL) -> None:
    async with aclosing(adapter.stream(call)) as messages:
        assert [message async for message in messages]


async def test_each_way_has_its_address() -> None:
    """With the key in its header, never in the address; without the model in the body of a chat."""
    scripts = answer(read("text.json")), streamed(read("text.txt"), size=99), answer(VECTOR)
    async with backend(*scripts, api_key=Secret("AIza1")) as (adapter, upstream):
        await adapter.chat(CALL)
        await stream(adapter)
        (vector,) = (await adapter.embed(EMBED)).embeddings.data
    assert list(vector.doubles.values) == [0.5, 1]
    assert [request.path for request in upstream.requests] == [
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
    ]
    for request in upstream.requests:
        assert request.headers["x-goog-api-key"] == "AIza1"
        assert "authorization" not in request.headers
    chat, _, embed = upstream.requests
    assert chat.headers["x-request-id"] == "req_1"
    assert "model" not in chat.json()
    assert embed.json() == {
        "requests": [
            {
                "taskType": "CLUSTERING",
                "outputDimensionality": 2,
                "model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": "a"}]},
            }
        ]
    }


@pytest.mark.parametrize(
    ("theirs", "sent"),
    [
        ({"authorization": "Bearer AIza2"}, {"x-goog-api-key": "AIza2"}),
        ({"Authorization": "bearer AQ.2"}, {"x-goog-api-key": "AQ.2"}),
        ({"authorization": "Bearer ya29.token"}, {"authorization": "Bearer ya29.token"}),
        ({"x-goog-api-key": "AIza3"}, {"x-goog-api-key": "AIza3"}),
        ({"x-api-key": "AIza4"}, {"x-goog-api-key": "AIza4"}),
        ({}, {}),
    ],
)
async def test_the_callers_key_goes_where_the_api_looks_for_it(
    theirs: dict[str, str], sent: dict[str, str]
) -> None:
    """Clients of OpenAI's API have it as bearer token. For calls, streams and lists of models."""
    headers = [Header(name=name, value=value.encode()) for name, value in theirs.items()]
    call = replace(CALL, headers=headers)
    scripts = answer(read("text.json")), streamed(read("text.txt")), answer(b'{"models":[]}')
    async with backend(*scripts, credentials="caller") as (adapter, upstream):
        assert adapter.lists_by_caller
        await adapter.chat(call)
        await stream(adapter, call)
        await adapter.list_models(headers)
    names = ("authorization", "x-goog-api-key", "x-api-key")
    for request in upstream.requests:
        assert {name: request.headers[name] for name in names if name in request.headers} == sent


async def test_models_are_listed_page_by_page() -> None:
    """Those that can be called, without the kind in front."""
    first = b"""{"models":[{"name":"models/gemini-a","displayName":"Gemini A","inputTokenLimit":1048576,
        "outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]},
        {"name":"models/aqa","supportedGenerationMethods":["generateAnswer"]}],"nextPageToken":"a b"}"""
    second = b'{"models":[{"name":"models/gemini-b"}]}'
    async with backend(answer(first), answer(second)) as (adapter, upstream):
        a, b = await adapter.list_models(())
    assert [request.path for request in upstream.requests] == [
        "/v1beta/models?pageSize=1000",
        "/v1beta/models?pageSize=1000&pageToken=a+b",
    ]
    assert (a.id, a.owned_by) == ("gemini-a", "google")
    assert a.extra_json == '{"display_name":"Gemini A","max_input_tokens":1048576,"max_tokens":65536}'
    assert (b.id, b.extra_json) == ("gemini-b", "")


async def test_a_list_without_an_end_is_left() -> None:
    """Where a server names the same page for ever."""
    page = b'{"models":[{"name":"models/a"}],"nextPageToken":"x"}'
    async with backend(answer(page)) as (adapter, upstream):
        await adapter.list_models(())
    assert len(upstream.requests) == 2


async def test_an_embedding_that_is_missing_is_an_error() -> None:
    """And tokens cannot be embedded."""
    async with backend(answer(b'{"embeddings":[]}')) as (adapter, _):
        with pytest.raises(GatewayError) as raised:
            await adapter.embed(EMBED)
        assert raised.value.http_status == 502
        tokens = TextInput()
        tokens.tokens.values.append(1)
        with pytest.raises(GatewayError) as raised:
            await adapter.embed(replace(EMBED, params=EmbeddingParams(input=tokens)))
        assert raised.value.param == "input"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../../x?y", "models/..%2F..%2Fx%3Fy"),
        ("models/a/b", "models/a%2Fb"),
    ],
)
def test_a_model_stays_where_models_are(model: str, path: str) -> None:
    """Whatever its name is."""
    assert resource(model) == path


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"url": "https://generativelanguage.googleapis.com/v1beta"}, "url"),
        ({"url": "https://x.example/models"}, "url"),
        ({"version": "beta"}, "version"),
        ({"api_key": Secret("a\n")}, "api_key"),
        ({"api_key": Secret("a"), "credentials": "caller"}, "api_key"),
    ],
)
def test_what_cannot_be_meant_is_refused(members: dict[str, Any], named: str) -> None:
    """By the name of the member."""
    with pytest.raises(ValueError, match=f"^{named}: "):
        settings_for(**members)
