"""What holds for embeddings of every dialect, whatever is asked and answered."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from portico.adapter import EmbeddingCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_embed
from portico.v1.embeddings_pb2 import EmbeddingList
from portico_adapters.bedrock import embeddings as bedrock
from portico_adapters.cohere import embeddings as cohere
from portico_adapters.cohere.settings import CohereSettings
from portico_adapters.gemini import embeddings as gemini
from portico_adapters.ollama import embeddings as ollama
from portico_adapters.vertex import embeddings as vertex
from tests.adapters.ollama.fixtures import settings_for
from tests.proto.openai.strategies import JSON, anything, embedding_requests
from tests.support.fuzz import damaged, fuzz, shuffled

T = TypeVar("T")
Vectors = list[list[float]]


@dataclass(frozen=True)
class Translator:
    """One dialect's: what it sends, how its answers look, and what it reads of them."""

    model: str
    bodies: Callable[[EmbeddingCall], Sequence[bytes]]
    answer: Callable[[Vectors], Any]
    read: Callable[[bytes, EmbeddingCall], EmbeddingList]


def of_bedrock(model: str, answer: Callable[[Vectors], Any]) -> Translator:
    return Translator(
        model,
        bedrock.embed_bodies,
        answer,
        lambda body, call: bedrock.embeddings_of([(body, ())], call),
    )


_COHERE = CohereSettings()
TRANSLATORS = (
    of_bedrock("amazon.titan-embed-text-v2:0", lambda vectors: {"embedding": vectors[0]}),
    of_bedrock("cohere.embed-v4:0", lambda vectors: {"embeddings": {"float": vectors}}),
    of_bedrock(
        "amazon.nova-2-multimodal-embeddings-v1:0",
        lambda vectors: {"embeddings": [{"embedding": vectors[0]}]},
    ),
    Translator(
        "embed-v4.0",
        lambda call: [cohere.embed_body(call, _COHERE)],
        lambda vectors: {"embeddings": {"float": vectors}},
        cohere.embeddings_of,
    ),
    Translator(
        "gemini-embedding-001",
        lambda call: [gemini.embed_body(call, f"models/{call.model}")],
        lambda vectors: {"embeddings": [{"values": vector} for vector in vectors]},
        lambda body, call: gemini.embeddings_of(body, call, callers_key=False),
    ),
    Translator(
        "gemini-embedding-001",
        lambda call: [vertex.embed_body(call)],
        lambda vectors: {"predictions": [{"embeddings": {"values": vector}} for vector in vectors]},
        lambda body, call: vertex.embeddings_of(body, call, callers_key=False),
    ),
    Translator(
        "nomic-embed-text",
        lambda call: [ollama.embed_body(call, settings_for())],
        lambda vectors: {"embeddings": vectors},
        ollama.embeddings_of,
    ),
)
translators = st.sampled_from(TRANSLATORS)
unknown: JSON = st.dictionaries(st.sampled_from(["x", "Values", "Embedding"]), anything, max_size=1)
numbers = st.floats(-1, 1)


def call_for(translator: Translator, texts: Any) -> EmbeddingCall:
    return EmbeddingCall(parse_embed(json.dumps({"model": "m", "input": texts}).encode()), translator.model)


@fuzz(translators, embedding_requests)
def test_a_request_is_translated_or_refused_by_name(translator: Translator, request: Any) -> None:
    """Bodies that are JSON objects, or 400 that names a member."""
    call = EmbeddingCall(parse_embed(json.dumps(request).encode()), translator.model)
    bodies = made_or_error(lambda: translator.bodies(call))
    if isinstance(bodies, GatewayError):
        assert (bodies.error_class, bodies.http_status) == (ErrorClass.CALLER, 400)
        assert bodies.param
        return
    assert all(isinstance(json.loads(body), dict) for body in bodies)


def made_or_error(make: Callable[[], T]) -> T | GatewayError:
    try:
        return make()
    except GatewayError as error:
        return error


@fuzz(translators, st.lists(numbers, max_size=3), unknown, st.randoms(use_true_random=False))
def test_a_vector_arrives_as_it_is(
    translator: Translator, vector: list[float], more: Any, order: Any
) -> None:
    """In whatever order the members of an answer stand, and beside those that nobody knows."""
    body = json.dumps(shuffled({**translator.answer([vector]), **more}, order)).encode()
    (embedding,) = translator.read(body, call_for(translator, "a")).data
    assert list(embedding.doubles.values) == vector


@fuzz(translators, st.lists(numbers, min_size=1, max_size=3), st.data())
def test_a_damaged_answer_is_an_error_or_an_answer(
    translator: Translator, vector: list[float], data: st.DataObject
) -> None:
    """Cut off, with bytes changed: the backend's failure, or as many vectors as texts."""
    wire = json.dumps(translator.answer([vector])).encode()
    assert_read_or_failed(translator, damaged(data, wire))


names = st.sampled_from(
    ["embeddings", "embedding", "predictions", "values", "float", "meta", "billed_units", "input_tokens"]
)
any_answers: JSON = st.recursive(
    anything,
    lambda inner: st.dictionaries(names, inner | st.lists(inner, max_size=2), max_size=2),
    max_leaves=6,
)


@fuzz(translators, any_answers)
def test_answers_of_any_json_are_answers_or_errors(translator: Translator, answer: Any) -> None:
    """A server of another kind does not crash the gateway."""
    assert_read_or_failed(translator, json.dumps(answer).encode())


def assert_read_or_failed(translator: Translator, body: bytes) -> None:
    found = made_or_error(lambda: translator.read(body, call_for(translator, ["a"])))
    if isinstance(found, GatewayError):
        assert found.error_class is not ErrorClass.GATEWAY
    else:
        assert len(found.data) == 1
