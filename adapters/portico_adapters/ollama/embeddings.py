"""OpenAI's embeddings over Ollama's POST /api/embed, both ways. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.adapter import EmbeddingCall
from portico.v1.embeddings_pb2 import EmbeddingList
from portico_adapters._advice import leave_out_advice
from portico_adapters._embeddings import check_dimensions, listed, texts_of
from portico_adapters._reading import Count
from portico_adapters.ollama.answers import read
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
    fixed = {"model": call.model, "input": texts_of(call)}
    wishes = {"dimensions": params.dimensions} if params.HasField("dimensions") else {}
    return rendered(fixed, wishes, {}, settings, params.extra_json)


def embeddings_of(body: bytes, call: EmbeddingCall) -> EmbeddingList:
    """Read an answer; raise where it does not have a vector of the right length for each text."""
    answer = read(body, _EMBEDDED)
    made = listed(answer.embeddings, answer.prompt_eval_count, call)
    check_dimensions(answer.embeddings, call)
    return made
