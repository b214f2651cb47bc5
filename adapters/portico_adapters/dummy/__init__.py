"""A backend that needs no server and no key: for a first run, for tests, for demonstrations.

``echo-1`` repeats the last message of the user. ``story-1`` tells one of a few short stories; a seed
chooses which. Both honour stop, max tokens, n and seed and count what they use, so that clients can be
tried against every ending a model has. What they cannot do is refused by name. ``system_fingerprint``
holds the caller's ``x-dummy-tag``. To a text completion ``echo-1`` repeats the prompt. Embeddings are of
either model: a hash of the words, good for trying out code and nothing else.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from portico.adapter import CompletionCall, EmbeddingCall, Limits, UpstreamCall
from portico.errors import unsupported
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChatCompletionParams
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model
from portico.v1.usage_pb2 import Usage
from portico_adapters.dummy.embeddings import embeddings
from portico_adapters.dummy.texts import text_answers, text_choices, text_pieces, text_usage
from portico_adapters.dummy.words import ECHO, STORY, Answer, answers, tokens

#: Unix seconds; the models were made with the gateway's first version.
_CREATED: Final = 1_795_219_200

# What a text can neither hear nor obey. Each is refused or left out under its own name.
_REFUSED: Final = (
    *("tools", "tool_choice", "functions", "function_call", "modalities", "audio", "prediction"),
    *("logprobs", "top_logprobs", "web_search_options"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DummySettings:
    """What a backend of this dialect may be told."""

    #: Seconds between two tokens of a stream, and as many per token before an unstreamed answer.
    pace: float = 0.0

    def __post_init__(self) -> None:
        if self.pace < 0:
            raise ValueError("pace: is below 0")


class DummyAdapter:
    """An ``Adapter`` that answers by itself."""

    Settings: ClassVar[type[DummySettings]] = DummySettings

    def __init__(self, name: str, settings: DummySettings, _limits: Limits) -> None:
        self._name = name
        self._pace = settings.pace

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        told = _answers(call)
        if self._pace:
            await asyncio.sleep(self._pace * max(len(answer.tokens) for answer in told))
        completion = ChatCompletion(
            id=_new_id("chatcmpl-"),
            object="chat.completion",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
            usage=_usage(call.params, told),
            choices=[
                ChatChoice(
                    index=index,
                    message=ChatMessage(role="assistant", content=answer.text),
                    finish_reason=answer.finish_reason,
                )
                for index, answer in enumerate(told)
            ],
        )
        return ChatResponse(completion=completion)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        told = _answers(call)
        header = ChunkHeader(
            id=_new_id("chatcmpl-"),
            object="chat.completion.chunk",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
        )
        yield StreamResponse(header=header, chunks=_opening(len(told)))
        for chunk in _pieces(told):
            # Without a pace this still lets other calls have their turn.
            await asyncio.sleep(self._pace)
            call.alive()
            yield StreamResponse(chunks=[chunk])
        yield StreamResponse(chunks=[ChatChunk(usage=_usage(call.params, told))])

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        told = text_answers(call)
        if self._pace:
            await asyncio.sleep(self._pace * max(len(answer.tokens) for answer in told))
        completion = TextCompletion(
            id=_new_id("cmpl-"),
            object="text_completion",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
            choices=text_choices(told),
            usage=text_usage(call.params, told),
        )
        return CompleteResponse(completion=completion)

    async def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        told = text_answers(call)
        header = ChunkHeader(
            id=_new_id("cmpl-"),
            object="text_completion",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
        )
        yield StreamCompleteResponse(header=header)
        for choice in text_pieces(told):
            await asyncio.sleep(self._pace)
            call.alive()
            yield StreamCompleteResponse(chunks=[TextCompletion(choices=[choice])])
        usage = text_usage(call.params, told)
        yield StreamCompleteResponse(chunks=[TextCompletion(usage=usage)])

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        return EmbedResponse(embeddings=embeddings(call))

    async def list_models(self, _headers: Sequence[Header], /) -> Sequence[Model]:
        return [Model(id=name, created=_CREATED, owned_by=self._name) for name in (ECHO, STORY)]

    async def aclose(self) -> None:
        """Nothing is open."""


def _fingerprint(headers: Sequence[Header]) -> str:
    """Return what shows that the caller's headers came through: the tag that one of them may hold."""
    tags = [header.value.decode("latin-1") for header in headers if header.name == "x-dummy-tag"]
    return f"dummy-{tags[-1][:64]}" if tags else "dummy"


def _answers(call: UpstreamCall) -> list[Answer]:
    """Return one answer for each that is asked for; raise GatewayError for what cannot be answered."""
    _check(call)
    return answers(call.model, _last_user_text(call.params), call.params)


def _check(call: UpstreamCall) -> None:
    """Leave out or refuse what cannot be obeyed, as the configuration has it; refuse what is no text."""
    params = call.params
    given = {field.name for field, _ in params.ListFields()}
    for name in _REFUSED:
        # `false`, `0` and a wish for text alone ask for nothing.
        if name in given and (value := getattr(params, name)) and value != ["text"]:
            call.unsupported(name, name)
    if params.response_format.type not in ("", "text"):
        call.unsupported(f"a response_format of {params.response_format.type}", "response_format")
    for index, message in enumerate(params.messages):
        for number, part in enumerate(message.content_parts):
            if part.type != "text":
                where = f"messages[{index}].content[{number}]"
                raise unsupported(f"parts of type {part.type}", where, call.backend)


def _text(message: ChatMessage) -> str:
    return message.content or " ".join(part.text for part in message.content_parts)


def _last_user_text(params: ChatCompletionParams) -> str:
    texts = [_text(message) for message in params.messages if message.role == "user"]
    return texts[-1] if texts else ""


def _usage(params: ChatCompletionParams, answers: Sequence[Answer]) -> Usage:
    prompt = sum(len(tokens(_text(message))) for message in params.messages)
    completion = sum(len(answer.tokens) for answer in answers)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _opening(count: int) -> list[ChatChunk]:
    delta = Delta(role="assistant", content="")
    return [ChatChunk(choices=[ChunkChoice(index=index, delta=delta)]) for index in range(count)]


def _pieces(answers: Sequence[Answer]) -> Iterator[ChatChunk]:
    """Yield the answers' tokens in turn, as a server that generates them side by side would."""
    for position in range(max(len(answer.tokens) for answer in answers) + 1):
        for index, answer in enumerate(answers):
            if position < len(answer.tokens):
                delta = Delta(content=answer.tokens[position])
                yield ChatChunk(choices=[ChunkChoice(index=index, delta=delta)])
            elif position == len(answer.tokens):
                reason = answer.finish_reason
                yield ChatChunk(choices=[ChunkChoice(index=index, delta=Delta(), finish_reason=reason)])


def _new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(12)}"
