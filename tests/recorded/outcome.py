"""What an answer says, in OpenAI's terms, so that two readings of the same bytes compare by ``==``.

One reading is a judge's: the provider's official SDK. The other is Portico's own messages.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from portico.errors import ErrorClass, GatewayError, from_upstream
from portico.v1 import usage_pb2
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.embeddings_pb2 import Embedding, EmbeddingList
from portico.v1.gateway_pb2 import StreamCompleteResponse
from portico.v1.models_pb2 import Model

#: Of one text. A text where the provider sends one, such as base64.
Vector = tuple[float, ...] | str


@dataclass(frozen=True)
class Choice:
    """One of the answers; its place in ``Outcome.choices`` is its index."""

    text: str = ""
    reasoning: str = ""
    #: What the model said instead of text, where the provider keeps the two apart.
    refusal: str = ""
    #: Name and arguments, in order; arguments as ``parsed`` makes them.
    tool_calls: tuple[tuple[str, Any], ...] = ()
    #: In OpenAI's words: stop, length, tool_calls, content_filter; None: none was told.
    finish_reason: str | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens. What a provider does not tell is 0: most leave out a part of which there was none."""

    #: Cached ones included.
    prompt: int = 0
    #: Reasoning included.
    completion: int = 0
    #: Read from the prompt cache.
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Failure:
    """An error as the caller learns of it."""

    error_class: ErrorClass
    status: int
    code: str | None


@dataclass(frozen=True)
class Outcome:
    """What came of one call. Where ``error`` is set nothing else is, even if an answer had begun."""

    choices: tuple[Choice, ...] = ()
    #: None: the provider counted nothing.
    usage: Usage | None = None
    error: Failure | None = None
    #: Of embeddings, by index.
    vectors: tuple[Vector, ...] = ()
    #: Of a list of models, the ids in its order.
    models: tuple[str, ...] = ()


def parsed(arguments: str) -> Any:
    """Return a tool call's arguments as JSON; the text itself where it is none."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def failed(status: int, code: str | None = None, type: str | None = None) -> Outcome:
    """Return what Portico owes the caller for a provider's error, by the table in ``portico.errors``.

    ``status`` is what the provider's answer means, which for some is not its own status. ``code`` and
    ``type``: those of OpenAI that say the same as the provider's own.
    """
    return of_error(from_upstream(status, "", code=code, type=type))


def broken() -> Outcome:
    """Return what Portico owes the caller for an answer that is none, or breaks off."""
    return failed(502)


def of_error(error: GatewayError) -> Outcome:
    return Outcome(error=Failure(error.error_class, error.http_status, error.code))


def of_completion(completion: ChatCompletion) -> Outcome:
    choices = sorted(completion.choices, key=lambda choice: choice.index)
    return Outcome(tuple(map(_choice, choices)), _usage(completion))


def of_text(completion: TextCompletion) -> Outcome:
    choices = sorted(completion.choices, key=lambda choice: choice.index)
    found = (Choice(choice.text, finish_reason=choice.finish_reason or None) for choice in choices)
    return Outcome(tuple(found), _usage(completion))


def of_text_stream(messages: Iterable[StreamCompleteResponse]) -> Outcome:
    whole = TextCompletion()
    for chunk in (chunk for message in messages for chunk in message.chunks):
        if chunk.HasField("usage"):
            whole.usage.CopyFrom(chunk.usage)
        for piece in chunk.choices:
            choice = next((each for each in whole.choices if each.index == piece.index), None)
            if choice is None:
                choice = whole.choices.add(index=piece.index)
            choice.text += piece.text
            choice.finish_reason = piece.finish_reason or choice.finish_reason
    return of_text(whole)


def of_embeddings(embeddings: EmbeddingList) -> Outcome:
    data = sorted(embeddings.data, key=lambda each: each.index)
    return Outcome(usage=_usage(embeddings), vectors=tuple(map(_vector, data)))


def of_models(models: Iterable[Model]) -> Outcome:
    return Outcome(models=tuple(model.id for model in models))


def _choice(choice: ChatChoice) -> Choice:
    message = choice.message
    called = [call.function if call.HasField("function") else call.custom for call in message.tool_calls]
    calls = [
        (each.name, parsed(each.arguments) if hasattr(each, "arguments") else each.input) for each in called
    ]
    if message.HasField("function_call"):
        calls.append((message.function_call.name, parsed(message.function_call.arguments)))
    parts = "".join(part.text for part in message.content_parts)
    return Choice(
        text=message.content + parts,
        reasoning=message.reasoning_content or message.reasoning,
        refusal=message.refusal,
        tool_calls=tuple(calls),
        finish_reason=choice.finish_reason or None,
    )


def _vector(embedding: Embedding) -> Vector:
    match embedding.WhichOneof("embedding"):
        case "float32_le":
            return base64.b64encode(embedding.float32_le).decode()
        case "other_json":
            return str(json.loads(embedding.other_json))
    return tuple(embedding.doubles.values)


def _usage(answer: ChatCompletion | TextCompletion | EmbeddingList) -> Usage | None:
    if not answer.HasField("usage"):
        return None
    usage: usage_pb2.Usage = answer.usage
    return Usage(
        prompt=usage.prompt_tokens,
        completion=usage.completion_tokens,
        cached=usage.prompt_tokens_details.cached_tokens,
        reasoning=usage.completion_tokens_details.reasoning_tokens,
    )
