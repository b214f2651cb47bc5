"""The adapter for Gemini's API keeps the contract, with answers of every kind."""

import json

from portico.adapter import Adapter, EmbeddingCall, Limits
from portico.testing.contract import Exchange
from portico.testing.optional_contract import EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.gemini import GeminiAdapter
from tests.adapters.gemini.fixtures import ANSWERS, CALL, read, settings_for

# Plain text first, as the contract wants it. A blocked prompt has no answer whose tokens could be counted.
_NAMES = sorted({*ANSWERS} - {"blocked"}, key=lambda name: (name != "text", name))


def _exchange(name: str) -> Exchange:
    wire = read(f"{name}.txt")
    gap = b"\r\n\r\n" if b"\r\n" in wire else b"\n\n"
    stream = [event + gap for event in wire.split(gap) if event]
    return Exchange(CALL, name, read(f"{name}.json"), stream)


VECTORS = Exchange(
    EmbeddingCall(
        EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "gemini-embedding-001"
    ),
    "vectors",
    b'{"embeddings":[{"values":[0.5,-1]},{"values":[0.25,0]}],"usageMetadata":{"promptTokenCount":2}}',
)


class TestGemini(UpstreamContract, EmbedsContract):
    """With answers from wire/."""

    exchanges = tuple(map(_exchange, _NAMES))
    models = (
        b'{"models":[{"name":"models/gemini-2.5-flash","supportedGenerationMethods":["generateContent"]}]}'
    )
    embeddings = (VECTORS,)

    def make_adapter(self, url: str) -> Adapter:
        return GeminiAdapter("google", settings_for(url), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": {"code": status, "message": message, "status": "UNKNOWN"}}).encode()
