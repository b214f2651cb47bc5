"""Unstreamed answers: OpenAI's objects <-> the answers of the RPCs.

What does not fit its field goes to ``extra_json`` and comes out again. Each ``parse_…`` raises
ValueError for what is no JSON object.
"""

from typing import Final, TypeVar

from google.protobuf.message import Message
from msgspec import Raw
from msgspec.json import encode

from portico.openai import _vectors
from portico.openai._fields import Write
from portico.openai._json import members
from portico.openai._shapes import Shape, Shapes, Usual
from portico.openai._usual import LOGPROBS, SOURCES, tier_of, write_top
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.completions_pb2 import TextChoice, TextCompletion
from portico.v1.embeddings_pb2 import Embedding, EmbeddingList
from portico.v1.message_pb2 import AssistantAudio, ChatMessage
from portico.v1.usage_pb2 import Usage as TokenUsage

M = TypeVar("M", bound=Message)

# What OpenAI writes even where there is nothing to say, in its order.
_USUAL: Final[Usual] = {
    TextCompletion: {"id": None, "object": "text_completion", "created": None, "model": None, "choices": []},
    TextChoice: {"text": "", "index": 0, "logprobs": None, "finish_reason": None},
    EmbeddingList: {"object": "list", "data": [], "model": None},
    Embedding: {"object": "embedding", "index": 0, "embedding": None},
}
_CHAT_USUAL: Final[Usual] = {
    ChatCompletion: {"id": None, "object": "chat.completion", "created": None, "model": None, "choices": []},
    ChatChoice: {"index": 0, "message": None, "logprobs": None, "finish_reason": None},
    ChatMessage: {"role": "assistant", "content": None, "refusal": None},
    AssistantAudio: {"id": "", "expires_at": 0, "data": "", "transcript": ""},
    **LOGPROBS,
    **SOURCES,
}
_CHAT_SHAPES: Final = Shapes(lenient=True, usual=_CHAT_USUAL, otherwise={"top_logprobs": write_top})
_COMPLETION: Final = _CHAT_SHAPES[ChatCompletion.DESCRIPTOR]
_SHAPES: Final = Shapes(lenient=True, usual=_USUAL)
_TEXT: Final = _SHAPES[TextCompletion.DESCRIPTOR]
_USAGE: Final = _SHAPES[TokenUsage.DESCRIPTOR]
_EMBEDDINGS: Final = _SHAPES[EmbeddingList.DESCRIPTOR]

# How vectors are written for each encoding_format; for any other as the backend gave them.
_ENCODED: Final[dict[str, dict[str, Write]]] = {
    "float": {"float32_le": lambda value, _: _vectors.numbers(value)},
    "base64": {"doubles": lambda value, _: _vectors.packed(value.values)},
}
_EMBEDDINGS_AS: Final = {
    encoding: Shapes(lenient=True, usual=_USUAL, otherwise=otherwise)[EmbeddingList.DESCRIPTOR]
    for encoding, otherwise in _ENCODED.items()
}


def parse_completion(body: bytes) -> ChatCompletion:
    """Read the answer of POST /v1/chat/completions."""
    return _parse(body, ChatCompletion, _COMPLETION)


def render_completion(completion: ChatCompletion) -> bytes:
    """Write the answer of POST /v1/chat/completions as OpenAI does, with its usual nulls."""
    told = completion.service_tier
    if completion.HasField("service_tier") and (tier := tier_of(told))["service_tier"] != told:
        own = ChatCompletion()
        own.CopyFrom(completion)
        own.service_tier = tier.pop("service_tier")
        own.extra_json = encode({**members(own.extra_json.encode() or b"{}"), **tier}).decode()
        completion = own
    return encode(_COMPLETION.write(completion))


def parse_text(body: bytes) -> TextCompletion:
    """Read the answer of POST /v1/completions."""
    return _parse(body, TextCompletion, _TEXT)


def render_text(completion: TextCompletion) -> bytes:
    """Write the answer of POST /v1/completions as OpenAI does, with its usual nulls."""
    return encode(_TEXT.write(completion))


def parse_embeddings(body: bytes, *, encoding_format: str) -> EmbeddingList:
    """Read the answer of POST /v1/embeddings.

    ``encoding_format``: what was asked for. A text is base64 of float32 where that was; else it is a
    vendor's own encoding (Perplexity's int8), which is carried as it is.
    """
    embeddings = _parse(body, EmbeddingList, _EMBEDDINGS)
    if encoding_format != "base64":
        for each in embeddings.data:
            if each.WhichOneof("embedding") == "float32_le":
                each.other_json = encode(_vectors.text_of(each.float32_le)).decode()
    return embeddings


def render_embeddings(embeddings: EmbeddingList, *, encoding_format: str) -> bytes:
    """Write the answer of POST /v1/embeddings.

    The vectors come as ``encoding_format`` has it, however the backend gave them: as numbers for
    "float", which is OpenAI's default too ("" here), as base64 of float32 for "base64".
    """
    return encode(_EMBEDDINGS_AS.get(encoding_format or "float", _EMBEDDINGS).write(embeddings))


def parse_usage(text: Raw | bytes) -> TokenUsage:
    """Read a ``usage`` that stands elsewhere than in an answer."""
    return _parse(text, TokenUsage, _USAGE)


def _parse(body: Raw | bytes, of: type[M], shape: Shape) -> M:
    try:
        usual = shape.read_object(body)
        if usual is not None:
            return of(**usual)
        answer = of()
        shape.read(members(body), answer)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None
    return answer
