"""What providers say in places of their own, brought to OpenAI's. Pure.

None of these spellings means two things, so no row is asked: they are read wherever they come. What is
moved from a vendor's member into OpenAI's stays in the former too, for callers who look there; a list of
content is replaced, as no client of OpenAI's expects one.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder, encode

from portico.openai.responses import parse_usage
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.message_pb2 import ContentPart
from portico.v1.usage_pb2 import Usage
from portico_adapters._flavours.parts import Said, said_in

_MEMBERS: Final = Decoder(dict[str, Raw])
_VALUES: Final = Decoder(dict[str, Any])

# Names of prompt_tokens_details.cached_tokens: DeepSeek's, Moonshot's and Together's, Mistral's.
_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")

# What ends an answer, at TGI and Together, xAI, Mistral, watsonx, DeepSeek -> in OpenAI's words.
_FINISHES: Final[Mapping[str, str]] = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "max_length": "length",
    "time_limit": "length",
    "insufficient_system_resource": "length",
}
# Where the provider's own word is kept, by OpenRouter's name for it.
_NATIVE: Final = "native_finish_reason"


def settle_completion(completion: ChatCompletion) -> ChatCompletion:
    """Bring the members of an unstreamed answer to their places; return it."""
    for choice in completion.choices:
        message = choice.message
        if message.content_parts:
            said = said_in([_part(part) for part in message.content_parts])
            if said is not None:
                message.ClearField("content_parts")
                _tell(said, message)
        _name_finish(choice)
    _count(completion)
    return completion


def settle_chunk(chunk: ChatChunk) -> None:
    """Bring the members of a chunk to their places."""
    for choice in chunk.choices:
        delta = choice.delta
        if '"content"' in delta.extra_json:
            said = said_in(_decoded(delta.extra_json).get("content"))
            if said is not None:
                put(delta, "content", None)
                _tell(said, delta)
        if '"message"' in choice.extra_json:
            # Perplexity repeats in each chunk all that was said before.
            put(choice, "message", None)
        _name_finish(choice)
    _count(chunk)


def settle_text(completion: TextCompletion) -> TextCompletion:
    """Bring the members of a text completion, or of a chunk of one, to their places; return it."""
    for choice in completion.choices:
        _name_finish(choice)
    _count(completion)
    return completion


def _part(part: ContentPart) -> dict[str, Any]:
    text = {"text": part.text} if part.HasField("text") else {}
    return {"type": part.type, **text, **_decoded(part.extra_json)}


def _tell(said: Said, into: Any) -> None:
    if said.text is not None:
        into.content = said.text
    if said.thought is not None:
        into.reasoning_content = said.thought
    if said.references:
        put(into, "references", said.references)
    if said.details:
        put(into, "reasoning_details", said.details)


def _name_finish(choice: Any) -> None:
    named = _FINISHES.get(choice.finish_reason)
    if named is not None:
        if f'"{_NATIVE}"' not in choice.extra_json:
            put(choice, _NATIVE, choice.finish_reason)
        choice.finish_reason = named


def _count(answer: Any) -> None:
    if not answer.HasField("usage"):
        told = _usage_elsewhere(answer)
        if told is None:
            return
        answer.usage.CopyFrom(told)
    usage = answer.usage
    if usage.extra_json and not usage.prompt_tokens_details.HasField("cached_tokens"):
        extra = _decoded(usage.extra_json)
        cached = next((extra[name] for name in _CACHED if extra.get(name) is not None), None)
        if type(cached) is int and 0 <= cached < 2**63:
            usage.prompt_tokens_details.cached_tokens = cached


def _usage_elsewhere(answer: Any) -> Usage | None:
    """Return what Groq tells in ``x_groq`` and Moonshot in a choice."""
    try:
        if '"x_groq"' in answer.extra_json:
            x_groq = _MEMBERS.decode(_MEMBERS.decode(answer.extra_json)["x_groq"])
            return parse_usage(x_groq["usage"]) if "usage" in x_groq else None
        for choice in answer.choices:
            if '"usage"' in choice.extra_json:
                usage = parse_usage(_MEMBERS.decode(choice.extra_json)["usage"])
                put(choice, "usage", None)
                return usage
    except (KeyError, ValueError, RecursionError):
        # Another member has the name inside, or the value is no object.
        return None
    return None


def _decoded(extra_json: str) -> dict[str, Any]:
    try:
        return _VALUES.decode(extra_json or "{}")
    except (ValueError, RecursionError):
        # A surrogate without its other half, or a depth that nobody means: what has it stays as it is.
        return {}


def put(message: Any, name: str, value: object) -> None:
    """Set a member of ``extra_json``; None takes it out. What cannot be read stays as it is."""
    try:
        extra: dict[str, object] = dict(_MEMBERS.decode(message.extra_json or "{}"))
    except (ValueError, RecursionError):
        return
    extra.pop(name, None)
    if value is not None:
        extra[name] = value
    message.extra_json = encode(extra).decode() if extra else ""
