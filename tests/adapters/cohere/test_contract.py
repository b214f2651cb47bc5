"""The adapter for Cohere's API keeps the contract, with answers of every kind."""

import json
import re

from portico.adapter import Adapter, EmbeddingCall, Limits
from portico.config import Url
from portico.testing.contract import Exchange
from portico.testing.optional_contract import EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.cohere import CohereAdapter
from portico_adapters.cohere.settings import CohereSettings
from tests.adapters.cohere.fixtures import ANSWERS, CALL, read

# They carry lists in extra_json, which come in pieces and which ``assemble`` does not put together.
_IN_PIECES = ("cited", "plan_and_tool", "thinking")


def _exchange(name: str) -> Exchange:
    stream = re.findall(rb".*?\n\n", read(f"{name}.txt"), re.DOTALL)
    # What is carried is carried with its white space: written here as in the streams.
    whole = json.dumps(json.loads(read(f"{name}.json")), ensure_ascii=False).encode()
    return Exchange(CALL, name, whole, stream)


_VECTORS = Exchange(
    EmbeddingCall(EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "embed-v4.0"),
    "vectors",
    b'{"id":"id-1","embeddings":{"float":[[0.5,-1],[0.25,0]]},"texts":["a","b"],'
    b'"meta":{"billed_units":{"input_tokens":2}}}',
)


class TestCohere(UpstreamContract, EmbedsContract):
    """With answers from wire/."""

    exchanges = tuple(_exchange(name) for name in ANSWERS if name not in _IN_PIECES)
    models = b'{"models":[{"name":"command-a-03-2025","endpoints":["chat"]}]}'
    embeddings = (_VECTORS,)

    def make_adapter(self, url: str) -> Adapter:
        return CohereAdapter("cohere", CohereSettings(url=Url(url)), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"id": "id-1", "message": message}).encode()
