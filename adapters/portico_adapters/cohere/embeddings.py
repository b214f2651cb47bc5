"""OpenAI's embeddings over Cohere's POST /v2/embed, both ways. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, encode

from portico.adapter import EmbeddingCall
from portico.v1.embeddings_pb2 import EmbeddingList
from portico_adapters._advice import leave_out_advice
from portico_adapters._embeddings import listed, texts_of
from portico_adapters._json import members
from portico_adapters._reading import read
from portico_adapters.cohere.settings import CohereSettings
from portico_adapters.cohere.usage import Tokens


class _Vectors(Struct, rename={"floats": "float"}):
    #: The one kind that is asked for; base64 is what the facade makes of it.
    floats: list[list[float]] | None = None


class _Meta(Struct):
    #: Of texts all tokens are paid for, and no other count is told.
    billed_units: Tokens | None = None


class _Embedded(Struct):
    embeddings: _Vectors
    id: str | None = None
    meta: _Meta | None = None


_EMBEDDED: Final = Decoder(_Embedded)


def embed_body(call: EmbeddingCall, settings: CohereSettings) -> bytes:
    """Return the body; raise 400, naming the member, for what the API cannot do."""
    leave_out_advice(call)
    params = call.params
    wishes: dict[str, object] = {"input_type": settings.input_type}
    if params.HasField("dimensions"):
        wishes["output_dimension"] = params.dimensions
    fixed = {"model": call.model, "texts": texts_of(call), "embedding_types": ["float"]}
    return encode({**wishes, **members(params.extra_json, "extra_json"), **fixed})


def embeddings_of(body: bytes, call: EmbeddingCall) -> EmbeddingList:
    """Read an answer; raise where it does not have a vector for each text."""
    answer = read(body, _EMBEDDED)
    billed = answer.meta.billed_units if answer.meta else None
    count = int(billed.input_tokens) if billed and billed.input_tokens is not None else None
    made = listed(answer.embeddings.floats or [], count, call)
    if answer.id is not None:
        made.id = answer.id
    return made
