"""OpenAI's embeddings over Vertex's predict, both ways. Pure."""

from typing import Final

from msgspec import Struct, field
from msgspec.json import Decoder, encode

from portico.adapter import EmbeddingCall
from portico.v1.embeddings_pb2 import EmbeddingList
from portico_adapters._advice import leave_out_advice
from portico_adapters._embeddings import listed, texts_of
from portico_adapters._json import members
from portico_adapters.gemini.answers import read


class _Statistics(Struct):
    #: Some models write it as 4.0.
    token_count: float | None = None


class _Embedding(Struct):
    values: list[float]
    statistics: _Statistics = field(default_factory=_Statistics)


class _Prediction(Struct):
    embeddings: _Embedding


class _Predicted(Struct):
    predictions: list[_Prediction]


_PREDICTED: Final = Decoder(_Predicted)

# The caller's own members that belong to each text; the others are parameters.
_OF_TEXTS: Final = ("task_type", "title")


def embed_body(call: EmbeddingCall) -> bytes:
    """Return the body; raise 400 for what Vertex cannot do."""
    leave_out_advice(call)
    params = call.params
    extra = members(params.extra_json, "extra_json")
    of_texts = {name: extra.pop(name) for name in _OF_TEXTS if name in extra}
    parameters: dict[str, object] = {}
    if params.HasField("dimensions"):
        parameters["outputDimensionality"] = params.dimensions
    parameters |= extra
    body: dict[str, object] = {"instances": [{**of_texts, "content": text} for text in texts_of(call)]}
    return encode({**body, **({"parameters": parameters} if parameters else {})})


def embeddings_of(body: bytes, call: EmbeddingCall, *, callers_key: bool) -> EmbeddingList:
    """Read an answer; raise where it does not have a vector for each text."""
    answer = read(body, _PREDICTED, callers_key=callers_key)
    found = [prediction.embeddings for prediction in answer.predictions]
    counts = [embedding.statistics.token_count for embedding in found]
    told = [count for count in counts if count is not None]
    return listed([embedding.values for embedding in found], int(sum(told)) if told else None, call)
