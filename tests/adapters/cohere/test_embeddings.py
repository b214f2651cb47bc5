"""Embeddings over POST /v2/embed."""

import json
from typing import Any

import pytest

from portico.adapter import EmbeddingCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_embed
from portico_adapters.cohere.embeddings import embed_body, embeddings_of
from portico_adapters.cohere.settings import CohereSettings

MODEL = "embed-v4.0"
VECTORS = {"id": "id-1", "embeddings": {"float": [[0.5, -1], [0.25, 0]]}, "texts": ["a", "b"]}


def embedding_call(**members: Any) -> EmbeddingCall:
    return EmbeddingCall(parse_embed(json.dumps({"model": "text", **members}).encode()), MODEL)


def body_of(call: EmbeddingCall, **settings: Any) -> Any:
    return json.loads(embed_body(call, CohereSettings(**settings)))


def test_texts_are_embedded_as_documents() -> None:
    """Unless the configuration, or the request by Cohere's own member, says otherwise."""
    call = embedding_call(input="a", dimensions=256, encoding_format="base64", user="u")
    fixed = {"model": MODEL, "texts": ["a"], "embedding_types": ["float"], "output_dimension": 256}
    assert body_of(call) == fixed | {"input_type": "search_document"}
    assert body_of(call, input_type="search_query") == fixed | {"input_type": "search_query"}
    own = embedding_call(input=["a", "b"], input_type="classification", truncate="END")
    assert body_of(own) == {
        "model": MODEL,
        "texts": ["a", "b"],
        "embedding_types": ["float"],
        "input_type": "classification",
        "truncate": "END",
    }


@pytest.mark.parametrize("input_", [[1, 2], [[1], [2]], []])
def test_other_input_is_refused(input_: Any) -> None:
    """Tokens are the tokens of some other model."""
    with pytest.raises(GatewayError) as caught:
        body_of(embedding_call(input=input_))
    assert (caught.value.http_status, caught.value.param) == (400, "input")


@pytest.mark.parametrize("meta", [{}, {"meta": {"billed_units": {"input_tokens": 4}}}])
def test_vectors_arrive_in_order(meta: dict[str, Any]) -> None:
    """With the count, where there is one."""
    found = embeddings_of(json.dumps(VECTORS | meta).encode(), embedding_call(input=["a", "b"]))
    assert [list(each.doubles.values) for each in found.data] == VECTORS["embeddings"]["float"]  # type: ignore[index]
    assert [each.index for each in found.data] == [0, 1]
    assert found.HasField("usage") == bool(meta)
    assert found.usage.prompt_tokens == found.usage.total_tokens == (4 if meta else 0)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings":{}}', b'{"embeddings":{"float":[[1]]}}'])
def test_an_answer_that_lacks_a_vector_is_an_error(body: bytes) -> None:
    """Of the backend."""
    with pytest.raises(GatewayError) as caught:
        embeddings_of(body, embedding_call(input=["a", "b"]))
    assert caught.value.error_class is ErrorClass.UPSTREAM
