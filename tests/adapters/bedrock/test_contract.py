"""The adapter for Bedrock keeps the contract, with answers of every kind."""

import json
from collections.abc import Iterator

import pytest

from portico.adapter import Adapter, EmbeddingCall, Limits
from portico.testing.contract import Exchange
from portico.testing.optional_contract import EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.bedrock import BedrockAdapter, chat_answer, chat_stream
from tests.adapters.bedrock.fixtures import ANSWERS, CALL, frames_of, read, settings_for


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers say when they were read, which two readings of the same bytes do not share."""
    monkeypatch.setattr(chat_answer, "now", lambda: 1_700_000_000)
    monkeypatch.setattr(chat_stream, "now", lambda: 1_700_000_000)
    return iter(())


def _exchange(name: str) -> Exchange:
    stream_type = "application/vnd.amazon.eventstream"
    return Exchange(CALL, name, read(f"{name}.json"), frames_of(name), stream_type=stream_type)


_VECTORS = Exchange(
    EmbeddingCall(
        EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "amazon.titan-embed-text-v2:0"
    ),
    "vectors",
    b'{"embedding":[0.5,-1],"inputTextTokenCount":2}',
)


class TestBedrock(UpstreamContract, EmbedsContract):
    """With every pair of answers below wire/ that has counts."""

    exchanges = tuple(_exchange(name) for name in ("text", *ANSWERS) if b"usage" in read(f"{name}.json"))
    embeddings = (_VECTORS,)
    models = json.dumps(
        {"modelSummaries": [{"modelId": "amazon.nova-lite-v1:0"}], "inferenceProfileSummaries": []}
    ).encode()

    def make_adapter(self, url: str) -> Adapter:
        return BedrockAdapter("aws", settings_for(url), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"message": message}).encode()
