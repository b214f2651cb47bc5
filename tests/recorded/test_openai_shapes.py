"""What Portico sends for recorded answers of every provider is OpenAI's API, by its document and its SDK."""

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from portico.adapter import Adapter, UpstreamCall
from portico.errors import GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.errors import render_error, render_error_event
from portico.openai.responses import render_completion
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage
from portico_core.operations import Identity
from tests.recorded.kinds import MODEL, Kind
from tests.recorded.providers import PROVIDERS
from tests.support.corpus import Case, parametrize
from tests.support.shared import shared

WHOLE: Final = "CreateChatCompletionResponse"
CHUNK: Final = "CreateChatCompletionStreamResponse"
ERROR: Final = "ErrorResponse"

#: Schema -> the SDK's model of the same.
MODELS: Final[Mapping[str, type[BaseModel]]] = {WHOLE: ChatCompletion, CHUNK: ChatCompletionChunk}

_TIER: Final = "Groq's service tiers have names of its own"
_NO_TYPE: Final = "Mistral leaves out the type and the index of tool calls"

#: Case -> what of the backend's own goes through though OpenAI's API does not have it.
DIFFERS: Final[Mapping[str, str]] = {
    "groq-text-2f2a4c": _TIER,
    "groq-tool-call-b642d8": _TIER,
    "test-reasoning-wire-contract-groq-gpt-oss-thinking-false-noo-cf7214": _TIER,
    "test-reasoning-wire-contract-groq-gpt-oss-thinking-merges-us-17432c": _TIER,
    "test-reasoning-wire-contract-groq-gpt-oss-thinking-minimal-f-dd44dc": _TIER,
    "test-reasoning-wire-contract-groq-qwen3-enable-level-sends-n-2522da": _TIER,
    "mistral-tool-call-e9c3a1": _NO_TYPE,
    "mistral-tool-call-stream-f859c6": _NO_TYPE,
    "chat-completion-image-input-52cabe": "a preview of 2023 had finish_details for finish_reason",
}


def _is_chat(case: Case) -> bool:
    provider = PROVIDERS.get(case.provider)
    return provider is not None and provider.kind_of(case) is Kind.CHAT


@parametrize(_is_chat)
async def test_what_the_caller_reads_is_openais(case: Case, servers: Mapping[str, str]) -> None:
    """Whole answers, every chunk, and errors; what is known to differ still does."""
    make = PROVIDERS[case.provider].adapter
    assert make is not None
    adapter = make(f"{servers['all']}/@{case.name}", case)
    try:
        sent = await (_streamed if case.stream else _whole)(adapter)
    finally:
        await adapter.aclose()
    wrong = [problem for name, data in sent for problem in _problems(name, data)]
    if case.name in DIFFERS:
        assert wrong, "is OpenAI's API now: take it out of DIFFERS"
    else:
        assert not wrong, "\n".join(sorted(set(wrong)))


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
    renderer = ChunkRenderer(include_usage=True)
    identity, text, end = Identity("chatcmpl-"), b"", b""
    try:
        async with aclosing(adapter.stream(_call())) as messages:
            async for message in messages:
                if message.HasField("header"):
                    identity.fill(message.header)
                text += renderer.render(message)
        text += renderer.finish()
    except GatewayError as error:
        end = render_error_event(error)
    chunks = [(CHUNK, event) for event in _events(text)]
    return chunks + [(ERROR, event) for event in _events(end)]


def _events(text: bytes) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            yield json.loads(line[6:])


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
