"""Every recorded exchange with Ollama's own API, read by its official client and by the adapter.

Both read the same bytes, and must tell the same, however these arrive at the adapter.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import ollama

from portico.adapter import CompletionCall, EmbeddingCall, Limits
from portico.errors import GatewayError, from_upstream
from portico.testing.assemble import assemble
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.completions_pb2 import TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.ollama import OllamaAdapter
from tests.adapters.ollama.fixtures import CALL, MODEL, settings_for
from tests.support.corpus import Case, parametrize


def at(path: str) -> Callable[[Case], bool]:
    return lambda case: case.provider == "ollama" and case.path == path


@asynccontextmanager
async def replayed(
    case: Case,
) -> AsyncIterator[tuple[ollama.AsyncClient, Callable[[int | None], OllamaAdapter]]]:
    """Yield the official client, and what makes an adapter that gets the answer in pieces of a size."""
    async with Upstream(script(case, None)) as upstream, AsyncExitStack() as stack:

        def adapter(size: int | None) -> OllamaAdapter:
            upstream.serve(script(case, size))
            made = OllamaAdapter("local", settings_for(upstream.url), Limits())
            stack.push_async_callback(made.aclose)
            return made

        client = await stack.enter_async_context(ollama.AsyncClient(upstream.url, trust_env=False))
        yield client, adapter


def script(case: Case, size: int | None) -> Answerer:
    kind = case.headers.get("content-type", "application/json")
    return (streamed if case.stream else answer)(case.body, case.status, content_type=kind, size=size)


@parametrize(at("/api/chat"))
async def test_a_chat_says_the_same(case: Case) -> None:
    """Content, thinking, tool calls, the reason of the end, counts; or it fails in the same way."""
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    async with replayed(case) as (client, adapter):
        told = await failing(client_chat(client, asked, bool(case.stream)))
        for size in (None, 64, 1):
            assert await failing(adapter_chat(adapter(size), bool(case.stream))) == told, size


async def client_chat(client: ollama.AsyncClient, asked: Any, stream: bool) -> Any:
    if stream:
        parts = [part async for part in await client.chat(**asked, stream=True)]
    else:
        parts = [await client.chat(**asked)]
    last = parts[-1]
    if not generated(last):
        return 502
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    return {
        "content": "".join(part.message.content or "" for part in parts),
        "thinking": "".join(part.message.thinking or "" for part in parts),
        "calls": [(call.name, dict(call.arguments)) for call in calls],
        "finish": "tool_calls" if calls else last.done_reason or "stop",
        **counts(last),
    }


async def adapter_chat(adapter: OllamaAdapter, stream: bool) -> Any:
    if stream:
        async with aclosing(adapter.stream(CALL)) as messages:
            completion = assemble([message async for message in messages])
    else:
        completion = (await adapter.chat(CALL)).completion
    (choice,) = completion.choices
    calls = [call.function for call in choice.message.tool_calls]
    return {
        "content": choice.message.content,
        "thinking": choice.message.reasoning_content,
        "calls": [(call.name, json.loads(call.arguments)) for call in calls],
        "finish": choice.finish_reason,
        "prompt": completion.usage.prompt_tokens,
        "completion": completion.usage.completion_tokens,
    }


@parametrize(at("/api/generate"))
async def test_a_text_says_the_same(case: Case) -> None:
    """Text, the reason of the end, counts; or it fails in the same way."""
    async with replayed(case) as (client, adapter):
        told = await failing(client_text(client, bool(case.stream)))
        for size in (None, 64, 1):
            assert await failing(adapter_text(adapter(size), bool(case.stream))) == told, size


async def client_text(client: ollama.AsyncClient, stream: bool) -> Any:
    if stream:
        parts = [part async for part in await client.generate(MODEL, "x", stream=True)]
    else:
        parts = [await client.generate(MODEL, "x")]
    last = parts[-1]
    if not generated(last):
        return 502
    text = "".join(part.response or "" for part in parts)
    return {"text": text, "finish": last.done_reason or "stop", **counts(last)}


async def adapter_text(adapter: OllamaAdapter, stream: bool) -> Any:
    call = CompletionCall(TextCompletionParams(prompt=TextInput(text="x")), MODEL)
    if stream:
        async with aclosing(adapter.stream_complete(call)) as messages:
            chunks = [chunk async for message in messages for chunk in message.chunks]
    else:
        chunks = [(await adapter.complete(call)).completion]
    usage = chunks[-1].usage
    return {
        "text": "".join(chunk.choices[0].text for chunk in chunks),
        "finish": chunks[-1].choices[0].finish_reason,
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
    }


@parametrize(at("/api/embed"))
async def test_vectors_are_the_same(case: Case) -> None:
    """To the last digit, and the count."""
    texts = case.request["input"] if isinstance(case.request["input"], list) else [case.request["input"]]
    call = EmbeddingCall(EmbeddingParams(input=TextInput(texts=TextList(values=texts))), MODEL)
    async with replayed(case) as (client, adapter):
        told = await client.embed(MODEL, texts)
        for size in (None, 64, 1):
            answered = (await adapter(size).embed(call)).embeddings
            assert [list(each.doubles.values) for each in answered.data] == told.embeddings
            assert answered.usage.prompt_tokens == (told.prompt_eval_count or 0)


@parametrize(at("/api/tags"))
async def test_models_are_the_same(case: Case) -> None:
    """Names and times."""
    async with replayed(case) as (client, adapter):
        told = [(each.model, each.modified_at) for each in (await client.list()).models]
        for size in (None, 64, 1):
            models = await adapter(size).list_models(())
            assert [(model.id, model.created) for model in models] == [
                (name, int(modified.timestamp()) if modified else None) for name, modified in told
            ]


async def failing(outcome: Any) -> Any:
    """Return what comes, or the status that a caller sees instead; of an error in mid-stream 502."""
    try:
        return await outcome
    except ollama.ResponseError as error:
        return from_upstream(error.status_code, "").http_status if error.status_code > 0 else 502
    except GatewayError as error:
        return error.http_status


def generated(last: Any) -> bool:
    """Whether the model said all that it had to say: neither cut off, nor only loaded."""
    return bool(last.done) and last.done_reason not in ("load", "unload")


def counts(last: Any) -> dict[str, int]:
    return {"prompt": last.prompt_eval_count or 0, "completion": last.eval_count or 0}
