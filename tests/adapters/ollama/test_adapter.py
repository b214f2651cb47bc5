"""What goes to the server and comes back, endpoint by endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from portico.adapter import CompletionCall, EmbeddingCall, Limits
from portico.errors import ErrorClass, GatewayError
from portico.secret import Secret
from portico.testing.upstream import Answerer, Request, Upstream
from portico.testing.watch import PATIENCE, Signs
from portico.testing.wire import HANG, Script, answer, streamed
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico_adapters.ollama import OllamaAdapter
from tests.adapters.ollama.fixtures import CALL, MODEL, read, settings_for

NDJSON = "application/x-ndjson"
TEXTS = CompletionCall(TextCompletionParams(prompt=TextInput(text="Once")), MODEL, request_id="req_1")
EMBEDDED = EmbeddingCall(EmbeddingParams(input=TextInput(text="a")), MODEL, request_id="req_1")
WHOLE_TEXT = b'{"response":"upon","done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}'
STREAMED_TEXT = [b'{"response":"up","done":false}\n', b'{"response":"on","done":true,"eval_count":1}\n']
LIMITS = (("x-ratelimit-remaining", "4"), ("x-other", "y"))
KEPT = [Header(name="x-ratelimit-remaining", value=b"4")]


@asynccontextmanager
async def backend(*answers: Answerer, **settings: Any) -> AsyncIterator[tuple[OllamaAdapter, Upstream]]:
    """Yield an adapter and its server, which gives these answers."""
    async with Upstream(*answers) as upstream:
        adapter = OllamaAdapter("local", settings_for(upstream.url, **settings), Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()


async def chat(adapter: OllamaAdapter) -> Any:
    return (await adapter.chat(CALL)).headers


async def stream(adapter: OllamaAdapter) -> Any:
    async with aclosing(adapter.stream(CALL)) as messages:
        return [header for message in [message async for message in messages] for header in message.headers]


async def complete(adapter: OllamaAdapter) -> Any:
    return (await adapter.complete(TEXTS)).headers


async def stream_complete(adapter: OllamaAdapter) -> Any:
    async with aclosing(adapter.stream_complete(TEXTS)) as messages:
        return [header for message in [message async for message in messages] for header in message.headers]


async def embed(adapter: OllamaAdapter) -> Any:
    return (await adapter.embed(EMBEDDED)).headers


# Way of asking -> the path it takes, whether it asks for a stream, and an answer.
WAYS = {
    chat: ("/api/chat", False, answer(read("text.json"), headers=LIMITS)),
    stream: ("/api/chat", True, streamed(read("text.ndjson"), headers=LIMITS, content_type=NDJSON, size=99)),
    complete: ("/api/generate", False, answer(WHOLE_TEXT, headers=LIMITS)),
    stream_complete: ("/api/generate", True, streamed(STREAMED_TEXT, headers=LIMITS, content_type=NDJSON)),
    embed: ("/api/embed", None, answer(b'{"embeddings":[[1]]}', headers=LIMITS)),
}


@pytest.mark.parametrize(("ask", "expected"), WAYS.items(), ids=lambda value: getattr(value, "__name__", ""))
async def test_each_endpoint_is_asked_in_its_own_way(ask: Any, expected: Any) -> None:
    """With key, request id and settings, without the caller's headers. Rate limits come back, once."""
    path, streams, script = expected
    async with backend(script, api_key=Secret("sesame"), keep_alive="5m") as (adapter, upstream):
        assert list(await ask(adapter)) == KEPT
    (request,) = upstream.requests
    assert (request.method, request.path) == ("POST", path)
    body = request.json()
    assert (body["model"], body["keep_alive"], body.get("stream")) == (MODEL, "5m", streams)
    names = ("authorization", "content-type", "x-request-id")
    assert [request.headers[name] for name in names] == ["Bearer sesame", "application/json", "req_1"]
    assert request.headers["user-agent"].startswith("portico/")


async def test_without_a_key_none_is_sent() -> None:
    """Nor the caller's, which is for the gateway; nor a request id that is none, or no header."""
    headers = [Header(name="authorization", value=b"Bearer x")]
    async with backend(answer(read("text.json"))) as (adapter, upstream):
        for request_id in ("a\nb", ""):
            await adapter.chat(replace(CALL, headers=headers, request_id=request_id))
    for request in upstream.requests:
        assert not {"authorization", "x-request-id"} & request.headers.keys()


TAGS = [{"name": name, "digest": f"sha256:{name}"} for name in ("a", "b", "c")]


def library(tags: list[dict[str, str]], broken: str) -> Callable[[Request], Script]:
    """Answer of these models, of one not; each says what it is with its context."""

    def reply(request: Request) -> Script:
        if request.path.endswith("/api/tags"):
            return answer(json.dumps({"models": tags}).encode())
        name = request.json()["model"]
        if name == broken:
            return answer(b'{"error":"manifest is damaged"}', status=500)
        info = {"general.architecture": "x", "x.context_length": ord(name)}
        return answer(json.dumps({"capabilities": ["tools"], "model_info": info}).encode())

    return reply


async def test_models_are_those_of_the_server() -> None:
    """Below the path of the URL, if there is one; each is asked about, and one that fails spoils none."""
    async with Upstream(library(TAGS, broken="b")) as upstream:
        adapter = OllamaAdapter("local", settings_for(f"{upstream.url}/gpu-1/"), Limits())
        models = await adapter.list_models(())
        await adapter.aclose()
    assert [(model.id, list(model.supports), model.context_length) for model in models] == [
        ("a", ["tools"], 97),
        ("b", [], 0),
        ("c", ["tools"], 99),
    ]
    first, *others = [(request.method, request.path) for request in upstream.requests]
    assert first == ("GET", "/gpu-1/api/tags")
    assert others == [("POST", "/gpu-1/api/show")] * 3


async def test_what_is_known_of_a_model_is_not_asked_again() -> None:
    """Unless its digest has changed, or the server could not tell."""
    tags = [dict(tag) for tag in TAGS]
    async with Upstream(library(tags, broken="b")) as upstream:
        adapter = OllamaAdapter("local", settings_for(upstream.url), Limits())
        await adapter.list_models(())
        tags[2]["digest"] = "sha256:new"
        asked = len(upstream.requests)
        await adapter.list_models(())
        await adapter.aclose()
    again = [request.json()["model"] for request in upstream.requests[asked + 1 :]]
    assert sorted(again) == ["b", "c"]


@pytest.mark.parametrize("ask", [stream, stream_complete])
async def test_an_error_in_mid_stream_ends_it(ask: Any) -> None:
    """As the backend's failure, and its connection serves the next call or is closed."""
    script = streamed([b'{"error":"the model runner has crashed"}\n'], content_type=NDJSON)
    async with backend(script) as (adapter, _):
        with pytest.raises(GatewayError) as caught:
            await ask(adapter)
    assert caught.value.error_class is ErrorClass.UPSTREAM


async def test_what_is_refused_is_not_sent() -> None:
    """Neither streamed nor not: a request that the backend cannot serve costs it nothing."""
    texts = replace(TEXTS, params=TextCompletionParams(prompt=TextInput(text="x"), n=2))
    chats = replace(CALL, params=type(CALL.params)(n=2))
    async with backend(answer(b"{}")) as (adapter, upstream):
        for ask in (adapter.chat(chats), adapter.complete(texts)):
            with pytest.raises(GatewayError):
                await ask
        with pytest.raises(GatewayError):
            await anext(adapter.stream(chats))
        with pytest.raises(GatewayError):
            await anext(adapter.stream_complete(texts))
    assert not upstream.requests


async def test_leaving_a_stream_of_text_closes_its_connection() -> None:
    """As for chat, of which the contract says so."""
    script = [*streamed(STREAMED_TEXT[:1], content_type=NDJSON, end=False), HANG]
    alive = Signs()
    async with backend(script) as (adapter, upstream):
        async with aclosing(adapter.stream_complete(replace(TEXTS, alive=alive))) as messages:
            first = await anext(messages)
        await upstream.closed()
    assert first.chunks[0].choices[0].text == "up"
    assert alive.count >= 2


@pytest.mark.parametrize("kind", [StreamResponse, StreamCompleteResponse])
async def test_a_stream_that_is_whole_is_not_waited_for(kind: type) -> None:
    """The last line ends it, even where the server keeps the body open."""
    lines = read("text.ndjson") if kind is StreamResponse else b"".join(STREAMED_TEXT)
    script = [*streamed(lines, content_type=NDJSON, end=False), HANG]
    async with backend(script) as (adapter, _), asyncio.timeout(PATIENCE):
        await (stream if kind is StreamResponse else stream_complete)(adapter)
