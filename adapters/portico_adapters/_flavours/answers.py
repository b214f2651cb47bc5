"""What providers say in places of their own, brought to OpenAI's. Pure.

None of these spellings means two things, so no row is asked: they are read wherever they come. What is
moved from a vendor's member into OpenAI's stays in the former too, for callers who look there; a list of
content is replaced, as no client of OpenAI's expects one.
"""

from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.openai.responses import parse_usage
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.message_pb2 import ContentPart
from portico.v1.usage_pb2 import Usage
from portico_adapters._flavours.annotations import set_apart
from portico_adapters._flavours.calls import StreamedCalls, settle_calls
from portico_adapters._flavours.finish import end_whole, settle_finish
from portico_adapters._flavours.members import put
from portico_adapters._flavours.parts import Said, said_in

_MEMBERS: Final = Decoder(dict[str, Raw])
_VALUES: Final = Decoder(dict[str, Any])

# Names of prompt_tokens_details.cached_tokens: DeepSeek's, Moonshot's and Together's, Mistral's.
_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")

# The counts that each usage has at OpenAI.
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


def settle_completion(completion: ChatCompletion, request_id: str) -> ChatCompletion:
    """Bring the members of an unstreamed answer to their places; return it.

    ``request_id``: what ids are made of, for calls that have none.
    """
    for choice in completion.choices:
        message = choice.message
        if message.content_parts:
            said = said_in([_part(part) for part in message.content_parts])
            message.ClearField("content_parts")
            _tell(said, message)
        if not choice.HasField("message"):
            # A filter may leave out the whole message, which no client expects.
            message.role = "assistant"
        if message.tool_calls:
            settle_calls(message, f"{request_id} {choice.index}")
        set_apart(message)
        end_whole(choice)
    created = _second_in(completion.extra_json)
    if created is not None:
        completion.created = created
        put(completion, "created", None)
    _count(completion)
    return completion


class ChunkSettler:
    """Brings the members of the chunks of one stream to their places."""

    def __init__(self, request_id: str) -> None:
        self._calls = StreamedCalls(request_id)

    def settle(self, chunk: ChatChunk) -> None:
        """Change a chunk."""
        for choice in chunk.choices:
            delta = choice.delta
            if '"content"' in delta.extra_json:
                content = _decoded(delta.extra_json).get("content")
                if isinstance(content, list):
                    put(delta, "content", None)
                    _tell(said_in(content), delta)
            if '"message"' in choice.extra_json:
                # Perplexity repeats in each chunk all that was said before.
                put(choice, "message", None)
            set_apart(delta)
            settle_finish(choice)
            self._calls.settle(choice.index, delta, ends=choice.HasField("finish_reason"))
        if _second_in(chunk.extra_json) is not None:
            # The gateway tells a time of its own where the backend tells no whole second.
            put(chunk, "created", None)
        _count(chunk)


def settle_text(completion: TextCompletion) -> TextCompletion:
    """Bring the members of a text completion, or of a chunk of one, to their places; return it."""
    for choice in completion.choices:
        settle_finish(choice)
    _count(completion)
    return completion


def _second_in(extra_json: str) -> int | None:
    """Return a time that is told in parts of seconds."""
    told = _decoded(extra_json).get("created") if '"created"' in extra_json else None
    return int(told) if type(told) is float and abs(told) < 2**53 else None


def _part(part: ContentPart) -> dict[str, Any]:
    text = {"text": part.text} if part.HasField("text") else {}
    image = {"image_url": {"url": part.image_url.url}} if part.HasField("image_url") else {}
    return {"type": part.type, **text, **image, **_decoded(part.extra_json)}


def _tell(said: Said, into: Any) -> None:
    if said.text is not None:
        into.content = said.text
    if said.thought is not None:
        into.reasoning_content = said.thought
    if said.images:
        put(into, "images", said.images)
    if said.references:
        put(into, "references", said.references)
    if said.details:
        put(into, "reasoning_details", said.details)


def _count(answer: Any) -> None:
    if not answer.HasField("usage"):
        told = _usage_elsewhere(answer)
        if told is None:
            return
        answer.usage.CopyFrom(told)
    usage = answer.usage
    counted = tuple(map(usage.HasField, _COUNTS))
    if any(counted) and not all(counted):
        _fill(usage)
    if usage.extra_json and not usage.prompt_tokens_details.HasField("cached_tokens"):
        extra = _decoded(usage.extra_json)
        cached = next((extra[name] for name in _CACHED if extra.get(name) is not None), None)
        if type(cached) is int and 0 <= cached < 2**63:
            usage.prompt_tokens_details.cached_tokens = cached


def _fill(usage: Usage) -> None:
    """Give counts that are left out, or null, their value: there was nothing to count, or it is the sum."""
    for name in _COUNTS[:2]:
        if not usage.HasField(name):
            setattr(usage, name, 0)
    if not usage.HasField("total_tokens"):
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens


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
