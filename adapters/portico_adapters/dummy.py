"""A backend that needs no server and no key: for a first run, for tests, for demonstrations.

``echo-1`` repeats the last message of the user. ``story-1`` tells one of a few short stories; a seed
chooses which. Both honour stop, max tokens, n and seed and count what they use, so that clients can be
tried against every ending a model has. What they cannot do is refused by name. ``system_fingerprint``
holds the caller's ``x-dummy-tag``.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from portico.adapter import Limits, UpstreamCall
from portico.errors import invalid_request, unknown_model
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChatCompletionParams
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model
from portico.v1.usage_pb2 import Usage

ECHO: Final = "echo-1"
STORY: Final = "story-1"

#: Unix seconds; the models were made with the gateway's first version.
_CREATED: Final = 1_795_219_200

_STORIES: Final = (
    (
        "Once there was a gateway between two rivers. Boats came down the one with questions, and went "
        "up the other with answers. When a bridge fell, the keeper sent the boats another way, and told "
        "nobody a boat had arrived that had not. So people came to trust the gateway."
    ),
    (
        "A lamp stood in a window by the sea. Every night a child asked it the same thing: are you a "
        "star? Every night it said no, and shone. One morning a ship came in that had steered by it, and "
        "the captain called it the best star of all."
    ),
    (
        "The mason built an arch of nine stones. Eight quarrelled over which of them held it up. The "
        "ninth kept still, for it could feel that each one held, and that each one was held."
    ),
)

# A token is a word with the space before it, or a run of other characters: near enough for counting.
_TOKEN: Final = re.compile(r"\s*\w+|\s*[^\w\s]+|\s+")

# What a text can neither hear nor obey. Each is refused under its own name.
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
        answers = _answers(call)
        if self._pace:
            await asyncio.sleep(self._pace * max(len(answer.tokens) for answer in answers))
        completion = ChatCompletion(
            id=_new_id(),
            object="chat.completion",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
            usage=_usage(call.params, answers),
            choices=[
                ChatChoice(
                    index=index,
                    message=ChatMessage(role="assistant", content="".join(answer.tokens)),
                    finish_reason=answer.finish_reason,
                )
                for index, answer in enumerate(answers)
            ],
        )
        return ChatResponse(completion=completion)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        answers = _answers(call)
        header = ChunkHeader(
            id=_new_id(),
            object="chat.completion.chunk",
            created=int(time.time()),
            model=call.model,
            system_fingerprint=_fingerprint(call.headers),
        )
        yield StreamResponse(header=header, chunks=_opening(len(answers)))
        for chunk in _pieces(answers):
            # Without a pace this still lets other calls have their turn.
            await asyncio.sleep(self._pace)
            call.alive()
            yield StreamResponse(chunks=[chunk])
        yield StreamResponse(chunks=[ChatChunk(usage=_usage(call.params, answers))])

    async def list_models(self, _headers: Sequence[Header], /) -> Sequence[Model]:
        return [Model(id=name, created=_CREATED, owned_by=self._name) for name in (ECHO, STORY)]

    async def aclose(self) -> None:
        """Nothing is open."""


def _fingerprint(headers: Sequence[Header]) -> str:
    """Return what shows that the caller's headers came through: the tag that one of them may hold."""
    tags = [header.value.decode("latin-1") for header in headers if header.name == "x-dummy-tag"]
    return f"dummy-{tags[-1][:64]}" if tags else "dummy"


@dataclass(frozen=True, slots=True)
class _Answer:
    tokens: Sequence[str]
    finish_reason: str


def _answers(call: UpstreamCall) -> list[_Answer]:
    """Return one answer for each that is asked for; raise GatewayError for what cannot be answered."""
    params = call.params
    _refuse(params)
    if call.model == ECHO:
        return [_cut(_last_user_text(params), params)] * _count(params)
    if call.model == STORY:
        first = params.seed if params.HasField("seed") else 0
        return [_cut(_STORIES[(first + index) % len(_STORIES)], params) for index in range(_count(params))]
    raise unknown_model(call.model)


def _count(params: ChatCompletionParams) -> int:
    count = params.n if params.HasField("n") else 1
    if not 1 <= count <= 128:
        raise invalid_request(f"n is {count}; it must be between 1 and 128.", "n")
    return count


def _refuse(params: ChatCompletionParams) -> None:
    given = {field.name for field, _ in params.ListFields()}
    for name in _REFUSED:
        # `false`, `0` and a wish for text alone ask for nothing.
        if name in given and (value := getattr(params, name)) and value != ["text"]:
            raise invalid_request(f"The dummy backend does not support {name}.", name)
    if params.response_format.type not in ("", "text"):
        kind = params.response_format.type
        raise invalid_request(f"The dummy backend does not support {kind}.", "response_format")
    for index, message in enumerate(params.messages):
        for number, part in enumerate(message.content_parts):
            if part.type != "text":
                where = f"messages[{index}].content[{number}]"
                raise invalid_request(f"The dummy backend reads text, not {part.type}.", where)


def _text(message: ChatMessage) -> str:
    return message.content or " ".join(part.text for part in message.content_parts)


def _last_user_text(params: ChatCompletionParams) -> str:
    texts = [_text(message) for message in params.messages if message.role == "user"]
    return texts[-1] if texts else ""


def _cut(text: str, params: ChatCompletionParams) -> _Answer:
    """End a text where a stop or the limit of tokens ends it, whichever comes first."""
    ends = [at for stop in params.stop if stop and (at := text.find(stop)) >= 0]
    tokens = _TOKEN.findall(text[: min(ends)] if ends else text)
    limit = _limit(params)
    if limit is not None and len(tokens) > limit:
        return _Answer(tokens[:limit], "length")
    return _Answer(tokens, "stop")


def _limit(params: ChatCompletionParams) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if params.HasField(name):
            limit: int = getattr(params, name)
            if limit < 1:
                raise invalid_request(f"{name} is {limit}; it must be at least 1.", name)
            return limit
    return None


def _usage(params: ChatCompletionParams, answers: Sequence[_Answer]) -> Usage:
    prompt = sum(len(_TOKEN.findall(_text(message))) for message in params.messages)
    completion = sum(len(answer.tokens) for answer in answers)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _opening(count: int) -> list[ChatChunk]:
    delta = Delta(role="assistant", content="")
    return [ChatChunk(choices=[ChunkChoice(index=index, delta=delta)]) for index in range(count)]


def _pieces(answers: Sequence[_Answer]) -> Iterator[ChatChunk]:
    """Yield the answers' tokens in turn, as a server that generates them side by side would."""
    for position in range(max(len(answer.tokens) for answer in answers) + 1):
        for index, answer in enumerate(answers):
            if position < len(answer.tokens):
                delta = Delta(content=answer.tokens[position])
                yield ChatChunk(choices=[ChunkChoice(index=index, delta=delta)])
            elif position == len(answer.tokens):
                reason = answer.finish_reason
                yield ChatChunk(choices=[ChunkChoice(index=index, delta=Delta(), finish_reason=reason)])


def _new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
