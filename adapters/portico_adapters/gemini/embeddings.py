"""OpenAI's embeddings over Gemini's batchEmbedContents, both ways. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, encode

from portico.adapter import EmbeddingCall
from portico.v1.embeddings_pb2 import EmbeddingList
from portico_adapters._advice import leave_out_advice
from portico_adapters._embeddings import listed, texts_of
from portico_adapters._json import members
from portico_adapters.gemini.answers import read
from portico_adapters.gemini.usage import Counted


class _Vector(Struct):
    values: list[float]


class _Embedded(Struct, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: Counted | None = None


_EMBEDDED: Final = Decoder(_Embedded)


def embed_body(call: EmbeddingCall, resource: str) -> bytes:
    """Return the body; raise 400 for what Gemini cannot do. ``resource``: the model as the API names it."""
    leave_out_advice(call)
    params = call.params
    wishes: dict[str, object] = {}
    if params.HasField("dimensions"):
        wishes["outputDimensionality"] = params.dimensions
    # Such as taskType.
    wishes |= members(params.extra_json, "extra_json")
    requests = [
        {**wishes, "model": resource, "content": {"parts": [{"text": text}]}} for text in texts_of(call)
    ]
    return encode({"requests": requests})


def embeddings_of(body: bytes, call: EmbeddingCall, *, callers_key: bool) -> EmbeddingList:
    """Read an answer; raise where it does not have a vector for each text."""
    answer = read(body, _EMBEDDED, callers_key=callers_key)
    counted = answer.usage_metadata
    prompt = counted.prompt_token_count if counted else None
    return listed([vector.values for vector in answer.embeddings], prompt, call)
