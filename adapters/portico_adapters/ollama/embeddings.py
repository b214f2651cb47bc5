"""OpenAI's embeddings over Ollama's POST /api/embed, both ways. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.adapter import EmbeddingCall
from portico.errors import invalid_request, unsupported, upstream_failed
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList
from portico.v1.usage_pb2 import Usage
from portico_adapters._advice import leave_out_advice
from portico_adapters.ollama.answers import Count, read
from portico_adapters.ollama.requests import rendered
from portico_adapters.ollama.settings import OllamaSettings


class _Embedded(Struct):
    embeddings: list[list[float]]
    prompt_eval_count: Count | None = None


_EMBEDDED: Final = Decoder(_Embedded)


def embed_body(call: EmbeddingCall, settings: OllamaSettings) -> bytes:
    """Return the body; raise 400, naming the member, for what Ollama cannot do."""
    leave_out_advice(call)
    params = call.params
    fixed = {"model": call.model, "input": _texts(call)}
    wishes = {"dimensions": params.dimensions} if params.HasField("dimensions") else {}
    return rendered(fixed, wishes, {}, settings, params.extra_json)


def embeddings_of(body: bytes, call: EmbeddingCall) -> EmbeddingList:
    """Read an answer; raise where it does not have a vector of the right length for each text."""
    answer, params = read(body, _EMBEDDED), call.params
    if len(answer.embeddings) != len(_texts(call)):
        raise upstream_failed("The backend did not embed every text.")
    for vector in answer.embeddings:
        # Servers and models that cannot shorten a vector send it whole, without a word.
        if params.HasField("dimensions") and len(vector) != params.dimensions:
            message = f"The model's vectors have {len(vector)} dimensions."
            raise invalid_request(message, "dimensions")
    count = answer.prompt_eval_count
    return EmbeddingList(
        object="list",
        model=call.model,
        data=[
            Embedding(object="embedding", index=index, doubles=DoubleVector(values=vector))
            for index, vector in enumerate(answer.embeddings)
        ],
        usage=None if count is None else Usage(prompt_tokens=count, total_tokens=count),
    )


def _texts(call: EmbeddingCall) -> list[str]:
    params = call.params
    form = params.input.WhichOneof("value")
    texts = [params.input.text] if form == "text" else list(params.input.texts.values)
    if form not in ("text", "texts"):
        raise unsupported("input other than text", "input", call.backend)
    if not texts or texts == [""]:
        raise invalid_request("input must not be empty.", "input")
    return texts
