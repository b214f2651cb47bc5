"""What Portico sends for recorded answers of every provider is OpenAI's API, by its document and its SDK."""

import contextlib
import functools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from portico.adapter import Adapter, UpstreamCall
from portico.errors import GatewayError
from portico.openai.errors import render_error, render_error_event
from portico.openai.responses import render_completion
from portico.testing.assemble import assemble
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico_core.operations import Identity
from tests.recorded.kinds import MODEL, Kind
from tests.recorded.providers import PROVIDERS
from tests.support.corpus import Case, parametrize
from tests.support.openai_sdk_stream import events_of, put_together, whole
from tests.support.shared import shared

WHOLE: Final = "CreateChatCompletionResponse"
CHUNK: Final = "CreateChatCompletionStreamResponse"
ERROR: Final = "ErrorResponse"

#: What callers read of a message. Of numbers that vendors say again with each piece the SDK makes sums.
READ: Final = (
    *("role", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details", "tool_calls"),
    *("function_call", "audio", "annotations", "citations", "references", "images"),
)

#: Whose entries of ``reasoning_details`` are passed on as they came, and what each piece of one says again.
#: The SDK appends it, with the provider itself too.
SAID_AGAIN: Final[Mapping[str, frozenset[str]]] = {"openrouter": frozenset(("format", "id"))}

#: Schema -> the SDK's model of the same.
MODELS: Final[Mapping[str, type[BaseModel]]] = {WHOLE: ChatCompletion, CHUNK: ChatCompletionChunk}


def _is_chat(case: Case) -> bool:
    provider = PROVIDERS.get(case.provider)
    return provider is not None and provider.kind_of(case) is Kind.CHAT


@parametrize(_is_chat)
async def test_what_the_caller_reads_is_openais(case: Case, servers: Mapping[str, str]) -> None:
    """Whole answers, every chunk, and errors; no case is let off."""
    async with _adapter(case, servers) as adapter:
        sent = await (_streamed if case.stream else _whole)(adapter)
    wrong = [problem for name, data in sent for problem in _problems(name, data)]
    assert not wrong, "\n".join(sorted(set(wrong)))


@parametrize(lambda case: _is_chat(case) and bool(case.stream))
async def test_the_sdk_puts_a_stream_together(case: Case, servers: Mapping[str, str]) -> None:
    """As ``client.chat.completions.stream()`` does: to what the whole answer would have been."""
    messages: list[StreamResponse] = []
    with contextlib.suppress(GatewayError):
        async with _adapter(case, servers) as adapter, aclosing(adapter.stream(_call())) as stream:
            messages.extend([message async for message in stream])
    if not any(chunk.choices for message in messages for chunk in message.chunks):
        # It ended before it said anything.
        return
    found = put_together(events_of(messages))
    for choice, expected in zip(found, whole(assemble(messages)), strict=True):
        for name in READ:
            assert _read(case, choice, name) == _read(case, expected, name), name


def _read(case: Case, choice: Any, name: str) -> Any:
    told, again = choice["message"].get(name), SAID_AGAIN.get(case.provider)
    if name != "reasoning_details" or told is None or again is None:
        return told
    return [{key: value for key, value in entry.items() if key not in again} for entry in told]


@asynccontextmanager
async def _adapter(case: Case, servers: Mapping[str, str]) -> AsyncIterator[Adapter]:
    make = PROVIDERS[case.provider].adapter
    assert make is not None
    adapter = make(f"{servers['all']}/@{case.name}", case)
    try:
        yield adapter
    finally:
        await adapter.aclose()


async def _whole(adapter: Adapter) -> list[tuple[str, Any]]:
    try:
        completion = (await adapter.chat(_call())).completion
        # As the core does for backends that give no id or time.
        Identity("chatcmpl-").fill(completion)
        return [(WHOLE, json.loads(render_completion(completion)))]
    except GatewayError as error:
        return [(ERROR, json.loads(render_error(error)))]


async def _streamed(adapter: Adapter) -> list[tuple[str, Any]]:
    """Return every event with the name of its schema."""
    messages: list[StreamResponse] = []
    end: list[tuple[str, Any]] = []
    try:
        async with aclosing(adapter.stream(_call())) as stream:
            async for message in stream:
                messages += [message]
    except GatewayError as error:
        end = [(ERROR, json.loads(render_error_event(error).removeprefix(b"data: ")))]
    return [(CHUNK, event) for event in events_of(messages)] + end


def _call() -> UpstreamCall:
    messages = [ChatMessage(role="user", content="x")]
    return UpstreamCall(ChatCompletionParams(model=MODEL, messages=messages), MODEL, request_id="r")


def _problems(name: str, data: Any) -> Iterator[str]:
    for problem in _validator(name).iter_errors(data):
        where = "/".join("*" if isinstance(step, int) else str(step) for step in problem.absolute_path)
        yield f"{name} {where}: {problem.message[:200]}"
    if name in MODELS:
        try:
            MODELS[name].model_validate(data, strict=True)
        except ValueError as error:
            yield f"{name}: {error}"


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    document = _nullable(json.loads(shared("openai", "openapi.json").read_text(encoding="utf-8")))
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


def _nullable(schema: Any) -> Any:
    """Return a schema whose optional properties may be null, as the real API sends them."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _nullable(each) for name, each in schema.items()}
    properties = made.get("properties")
    if isinstance(properties, dict):
        required = made.get("required", ())
        made["properties"] = {
            name: each
            if name in required and not each.get("nullable")
            else {"anyOf": [each, {"type": "null"}]}
            for name, each in properties.items()
        }
    return made
