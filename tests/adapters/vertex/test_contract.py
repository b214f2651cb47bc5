"""The adapter for Vertex AI keeps the contract."""

import json

from portico.adapter import Adapter, EmbeddingCall, Limits
from portico.config import Url
from portico.testing.contract import Exchange
from portico.testing.optional_contract import EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.vertex import VertexAdapter
from portico_adapters.vertex.settings import VertexSettings
from tests.adapters.gemini.fixtures import CALL, read


def _exchange(name: str) -> Exchange:
    stream = [event + b"\n\n" for event in read(f"{name}.txt").split(b"\n\n") if event]
    return Exchange(CALL, name, read(f"{name}.json"), stream)


VECTORS = Exchange(
    EmbeddingCall(EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "text-embedding-005"),
    "vectors",
    b'{"predictions":[{"embeddings":{"values":[0.5,-1],"statistics":{"token_count":1}}},'
    b'{"embeddings":{"values":[0.25,0],"statistics":{"token_count":1.0}}}]}',
)


class TestVertex(UpstreamContract, EmbedsContract):
    """With Gemini's answers, which are the same."""

    exchanges = tuple(map(_exchange, ("text", "tools")))
    models = b'{"publisherModels":[{"name":"publishers/google/models/gemini-2.5-flash"}]}'
    embeddings = (VECTORS,)

    def make_adapter(self, url: str) -> Adapter:
        return VertexAdapter("vertex", VertexSettings(url=Url(url), project="p"), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps([{"error": {"code": status, "message": message, "status": "UNKNOWN"}}]).encode()
