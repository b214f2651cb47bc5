"""Embeddings over /api/embed: both directions, and what is refused by name."""

import json
from typing import Any

import pytest

from portico.adapter import EmbeddingCall
from portico.errors import ErrorClass, GatewayError
from portico.v1.completions_pb2 import TextInput, TextList, TokenList, TokenLists
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.ollama.embeddings import embed_body, embeddings_of
from tests.adapters.ollama.fixtures import settings_for

TWO = TextInput(texts=TextList(values=["a", "b"]))


def call_for(text: TextInput = TWO, **members: Any) -> EmbeddingCall:
    return EmbeddingCall(EmbeddingParams(model="text-embedding-3-small", input=text, **members), "all-minilm")


def sent(call: EmbeddingCall) -> Any:
    return json.loads(embed_body(call, settings_for(keep_alive="0", num_ctx=512)))


def test_a_text_goes_as_a_list_of_one() -> None:
    """With what the configuration says."""
    assert sent(call_for(TextInput(text="a"))) == {
        "model": "all-minilm",
        "input": ["a"],
        "keep_alive": 0,
        "options": {"num_ctx": 512},
    }


def test_what_is_asked_for_is_sent() -> None:
    """The form of the answer is the front end's affair; Ollama's own members go as they are."""
    call = call_for(dimensions=64, encoding_format="base64", user="u", extra_json='{"truncate":false}')
    assert sent(call) == {
        "model": "all-minilm",
        "input": ["a", "b"],
        "dimensions": 64,
        "truncate": False,
        "keep_alive": 0,
        "options": {"num_ctx": 512},
    }


REFUSED = {
    "tokens": TextInput(tokens=TokenList(values=[1])),
    "lists of tokens": TextInput(token_lists=TokenLists()),
    "a vendor's input": TextInput(other_json="{}"),
    "no input": TextInput(),
    "an empty text": TextInput(text=""),
    "an empty list": TextInput(texts=TextList()),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_ollama_cannot_embed_is_refused_by_name(text: TextInput) -> None:
    """An empty text too, to which it answers no vector."""
    with pytest.raises(GatewayError) as caught:
        sent(call_for(text))
    assert (caught.value.http_status, caught.value.param) == (400, "input")


def test_vectors_arrive_in_order_and_exactly() -> None:
    """With the usage, where the backend counted."""
    body = b'{"model":"x","embeddings":[[0.010071029,-0.0],[1,1e-45]],"prompt_eval_count":8}'
    answer = embeddings_of(body, call_for())
    assert [list(each.doubles.values) for each in answer.data] == [[0.010071029, -0.0], [1.0, 1e-45]]
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.model == "all-minilm"
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (8, 8)
    assert not embeddings_of(b'{"embeddings":[[1],[2]]}', call_for()).HasField("usage")


def test_vectors_of_another_length_than_asked_for_are_the_callers_mistake() -> None:
    """Servers and models that cannot shorten them send them whole without a word."""
    with pytest.raises(GatewayError) as caught:
        embeddings_of(b'{"embeddings":[[1,2,3],[4,5,6]]}', call_for(dimensions=2))
    assert (caught.value.http_status, caught.value.param) == (400, "dimensions")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"embeddings":[[1]]}',
        b'{"embeddings":[[1],[2],[3]]}',
        b'{"embeddings":[["a"],[2]]}',
        b'{"embeddings":[[1e999],[2]]}',
        b'{"error":"x"}',
    ],
)
def test_an_answer_that_is_not_whole_is_the_backends_failure(body: bytes) -> None:
    """A vector for each text, or an error."""
    with pytest.raises(GatewayError) as caught:
        embeddings_of(body, call_for())
    assert caught.value.error_class is ErrorClass.UPSTREAM
