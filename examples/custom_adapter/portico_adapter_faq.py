"""A backend that answers from a list of rules: the first whose pattern stands in the question wins.

    backends:
      help:
        dialect: faq
        rules:
          opening hours|open on: We are open from 9 to 17, Monday to Friday.
          refund: Refunds take five working days.
        otherwise: Please write to help@example.com.

It has one model, ``help/answers``, and needs no network. A word counts as a token.
"""

import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from portico.adapter import Limits, UpstreamCall
from portico.errors import unknown_model, unsupported
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ResponseFormat
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model
from portico.v1.usage_pb2 import Usage

MODEL: Final = "answers"

#: What rules cannot do. It is refused by name, unless the model's configuration leaves such things out.
_REFUSED: Final = ("tools", "functions", "response_format", "audio", "logprobs")
_PLAIN_TEXT: Final = ResponseFormat(type="text")


@dataclass(frozen=True)
class FaqSettings:
    """The members of a backend's configuration that are this adapter's."""

    #: Regular expression, in any case -> answer.
    rules: dict[str, str]
    #: The answer when no rule fits.
    otherwise: str = "I do not know."

    def __post_init__(self) -> None:
        """Tell a wrong pattern at start, with its place in the file."""
        for pattern in self.rules:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"rules: {pattern!r} is not a regular expression: {error}") from None


class FaqAdapter:
    """The dialect ``faq``."""

    Settings: ClassVar[type[Any]] = FaqSettings

    def __init__(self, name: str, settings: FaqSettings, _limits: Limits) -> None:
        self._name = name
        self._rules = [(re.compile(pattern, re.IGNORECASE), text) for pattern, text in settings.rules.items()]
        self._otherwise = settings.otherwise

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        """Return the answer."""
        return ChatResponse(completion=self._complete(call))

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        """Yield the answer in one message, word by word: chunks that are ready together ride together."""
        completion = self._complete(call)
        choice = completion.choices[0]
        deltas = [Delta(role="assistant"), *(Delta(content=word) for word in _words(choice.message.content))]
        end = ChunkChoice(index=0, delta=Delta(), finish_reason=choice.finish_reason)
        yield StreamResponse(
            header=ChunkHeader(id=completion.id, created=completion.created, model=completion.model),
            chunks=[
                *(ChatChunk(choices=[ChunkChoice(index=0, delta=delta)]) for delta in deltas),
                ChatChunk(choices=[end], usage=completion.usage),
            ],
        )

    async def list_models(self, _headers: Sequence[Header], /) -> Sequence[Model]:
        """Return the one model."""
        return [Model(id=MODEL, owned_by=self._name)]

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""

    def _complete(self, call: UpstreamCall) -> ChatCompletion:
        if call.model != MODEL:
            raise unknown_model(call.params.model or call.model)
        _check(call)
        question = _question(call)
        text = next((text for pattern, text in self._rules if pattern.search(question)), self._otherwise)
        for stop in filter(None, call.params.stop):
            text = text.partition(stop)[0]
        words = _words(text)
        limit = call.params.max_completion_tokens or call.params.max_tokens or len(words)
        taken = words[: max(0, limit)]
        choice = ChatChoice(
            index=0,
            message=ChatMessage(role="assistant", content="".join(taken)),
            finish_reason="stop" if taken == words else "length",
        )
        prompt, answer = len(_words(question)), len(taken)
        return ChatCompletion(
            id=f"faq-{call.request_id}",
            created=int(time.time()),
            model=MODEL,
            choices=[choice],
            usage=Usage(prompt_tokens=prompt, completion_tokens=answer, total_tokens=prompt + answer),
        )


def _check(call: UpstreamCall) -> None:
    """Refuse what rules cannot do, or leave it out where the model's configuration says so."""
    asked = {field.name: value for field, value in call.params.ListFields()}
    for name in _REFUSED:
        if asked.get(name) and asked[name] != _PLAIN_TEXT:
            call.unsupported(name, name)
    if call.params.n > 1:
        call.unsupported("several answers", "n")


def _question(call: UpstreamCall) -> str:
    """Return the text of the last message."""
    params = call.params
    index, message = len(params.messages) - 1, params.messages[-1]
    for place, part in enumerate(message.content_parts):
        if part.type != "text":
            param = f"messages[{index}].content[{place}]"
            raise unsupported(f"parts of type {part.type}", param, call.backend)
    return message.content + " ".join(part.text for part in message.content_parts)


def _words(text: str) -> list[str]:
    """Cut a text into words, each with the space behind it."""
    return re.findall(r"\s*\S+\s*", text)
