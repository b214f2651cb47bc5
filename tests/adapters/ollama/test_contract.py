"""The adapter for Ollama's own API keeps the contract, with answers of every kind."""

import json

from portico.adapter import Adapter, CompletionCall, EmbeddingCall, Limits
from portico.testing.contract import Exchange
from portico.testing.optional_contract import CompletesContract, EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.ollama import OllamaAdapter
from tests.adapters.ollama.fixtures import ANSWERS, CALL, read, settings_for


def _exchange(name: str) -> Exchange:
    stream = read(f"{name}.ndjson").splitlines(keepends=True)
    return Exchange(CALL, name, read(f"{name}.json"), stream, stream_type="application/x-ndjson")


_TIME = b'"model":"llama3.2","created_at":"2025-05-04T17:37:44.706015396Z"'
_END = b'"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2'
_TEXT = Exchange(
    CompletionCall(TextCompletionParams(prompt=TextInput(text="Once")), "llama3.2"),
    "text",
    b'{%b,"response":" upon a",%b}' % (_TIME, _END),
    [
        b'{%b,"response":" upon","done":false}\n' % _TIME,
        b'{%b,"response":" a","done":false}\n' % _TIME,
        b'{%b,"response":"",%b}\n' % (_TIME, _END),
    ],
    stream_type="application/x-ndjson",
)
_VECTORS = Exchange(
    EmbeddingCall(EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "all-minilm"),
    "vectors",
    b'{"model":"all-minilm","embeddings":[[0.5,-1],[0.25,0]],"prompt_eval_count":2}',
)


class TestOllama(UpstreamContract, CompletesContract, EmbedsContract):
    """With every pair of answers below wire/ that has a prompt's tokens counted."""

    exchanges = tuple(_exchange(name) for name in ANSWERS if b"prompt_eval_count" in read(f"{name}.json"))
    models = b'{"models":[{"name":"llama3.2:latest","modified_at":"2025-05-04T17:37:44.706015396-07:00"}]}'

    texts = (_TEXT,)
    embeddings = (_VECTORS,)

    def make_adapter(self, url: str) -> Adapter:
        return OllamaAdapter("local", settings_for(url), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": message}).encode()
