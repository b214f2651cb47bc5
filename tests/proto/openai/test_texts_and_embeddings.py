"""Text completions and embeddings: what becomes of their JSON, literally."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico.openai.requests import parse_complete, parse_embed, render_complete
from portico.openai.responses import parse_embeddings, parse_text, render_embeddings, render_text
from portico.v1.completions_pb2 import (
    OptionalDouble,
    TextChoice,
    TextCompletion,
    TextCompletionParams,
    TextInput,
    TextList,
    TextLogprobs,
    TokenList,
    TokenLists,
    TokenValue,
    TopLogprobs,
)
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList, EmbeddingParams
from portico.v1.usage_pb2 import Usage
from tests.proto.openai.meaning import answered_text, embedded, meaning
from tests.proto.openai.strategies import anything, objects

INPUTS = {
    '"a"': TextInput(text="a"),
    '""': TextInput(text=""),
    '["a", "b"]': TextInput(texts=TextList(values=["a", "b"])),
    "[]": TextInput(texts=TextList()),
    "[1, 2]": TextInput(tokens=TokenList(values=[1, 2])),
    "[[1], [2, 3]]": TextInput(
        token_lists=TokenLists(lists=[TokenList(values=[1]), TokenList(values=[2, 3])])
    ),
    '[{"image": 1e400}]': TextInput(other_json='[{"image": 1e400}]'),
    '{"content": []}': TextInput(other_json='{"content": []}'),
    '["a", 1]': TextInput(other_json='["a", 1]'),
    "[9223372036854775808]": TextInput(other_json="[9223372036854775808]"),
}


@pytest.mark.parametrize(("written", "read"), INPUTS.items())
def test_a_prompt_has_its_form(written: str, read: TextInput) -> None:
    """Text or tokens, one or many; anything else is carried, digit by digit. An input is read alike."""
    body = f'{{"model":"m","prompt":{written},"echo":true}}'.encode()
    params, stream = parse_complete(body)
    assert (params, stream) == (TextCompletionParams(model="m", prompt=read, echo=True), False)
    rendered = render_complete(params, model="n", stream=False)
    assert rendered.startswith(b'{"model":"n","prompt":')
    assert json.loads(rendered)["prompt"] == json.loads(written)
    assert parse_embed(body.replace(b"prompt", b"input")).input == read


REFUSED = {
    '{"prompt":"a"}': ("Missing required parameter: 'model'.", "model"),
    '{"model":"m"}': ("Missing required parameter: 'prompt'.", "prompt"),
    '{"model":"m","prompt":null}': ("Missing required parameter: 'prompt'.", "prompt"),
    '{"model":"m","prompt":5}': (
        "Invalid type for 'prompt': expected one of a string, array or object, but got an integer instead.",
        "prompt",
    ),
    '{"model":"m","prompt":"a","logprobs":true}': (
        "Invalid type for 'logprobs': expected an integer, but got a boolean instead.",
        "logprobs",
    ),
    '{"model":"m","prompt":"a","stream":"yes"}': (
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "stream",
    ),
}


@pytest.mark.parametrize(("body", "told"), REFUSED.items())
def test_what_is_wrong_is_named(body: str, told: tuple[str, str]) -> None:
    """In OpenAI's words."""
    with pytest.raises(GatewayError) as caught:
        parse_complete(body.encode())
    assert (caught.value.message, caught.value.param) == told


@pytest.mark.parametrize("entry", ['"a"', "[]"])
def test_a_list_is_bounded(entry: str) -> None:
    """Tiny entries by the million would hold up all other calls. A long text of tokens is one entry."""
    with pytest.raises(GatewayError) as caught:
        parse_embed(f'{{"model":"m","input":[{",".join([entry] * 100_001)}]}}'.encode())
    assert (caught.value.code, caught.value.param) == ("array_above_max_length", "input")
    tokens = ",".join(["5"] * 100_001)
    assert len(parse_embed(f'{{"model":"m","input":[{tokens}]}}'.encode()).input.tokens.values) == 100_001


def test_embeddings_need_an_input() -> None:
    """And know no stream: the member is the backend's affair."""
    with pytest.raises(GatewayError, match="'input'"):
        parse_embed(b'{"model":"m"}')
    params = parse_embed(b'{"model":"m","input":"a","dimensions":3,"stream":true}')
    extra = '{"stream":true}'
    assert params == EmbeddingParams(model="m", input=TextInput(text="a"), dimensions=3, extra_json=extra)


ANSWER = """{"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [
    {"text": " Hi", "index": 0, "finish_reason": "stop", "stop_reason": 2, "logprobs": {
        "tokens": ["A", " Hi"], "token_logprobs": [null, -0.5], "text_offset": [0, 1],
        "top_logprobs": [null, {" z": -0.5, " a": -9999.0, "": -1e-05}]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"""


def test_logprobs_keep_their_nulls_and_their_order() -> None:
    """Both directions, literally."""
    message = TextCompletion(
        id="c",
        object="text_completion",
        created=1,
        model="m",
        usage=Usage(prompt_tokens=1, completion_tokens=1, total_tokens=2),
        choices=[
            TextChoice(
                index=0,
                text=" Hi",
                finish_reason="stop",
                extra_json='{"stop_reason":2}',
                logprobs=TextLogprobs(
                    tokens=["A", " Hi"],
                    token_logprobs=[OptionalDouble(), OptionalDouble(value=-0.5)],
                    text_offset=[0, 1],
                    top_logprobs=[
                        TopLogprobs(is_null=True),
                        TopLogprobs(
                            values=[
                                TokenValue(token=" z", logprob=-0.5),
                                TokenValue(token=" a", logprob=-9999),
                                TokenValue(token="", logprob=-1e-5),
                            ]
                        ),
                    ],
                ),
            )
        ],
    )
    assert parse_text(ANSWER.encode()) == message
    rendered = render_text(message)
    assert json.loads(rendered) == json.loads(ANSWER)
    top = json.loads(rendered)["choices"][0]["logprobs"]["top_logprobs"][1]
    assert list(top) == [" z", " a", ""]


def test_an_answer_has_openai_s_nulls() -> None:
    """Where the backend says nothing of them."""
    told = json.loads(render_text(TextCompletion(choices=[TextChoice(text="a")])))
    assert told == {
        "id": None,
        "object": "text_completion",
        "created": None,
        "model": None,
        "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}],
    }


@given(objects(TextCompletion.DESCRIPTOR, True))
def test_any_answer_comes_out_as_it_went_in(body: dict[str, Any]) -> None:
    """Right or odd, at every depth, and over the wire between."""
    sent = TextCompletion.FromString(parse_text(json.dumps(body).encode()).SerializeToString())
    assert meaning(render_text(sent)) == answered_text(body)


@given(objects(EmbeddingList.DESCRIPTOR, True), st.sampled_from(["base64", "", "float"]))
def test_any_embeddings_come_out_as_they_went_in(body: dict[str, Any], asked: str) -> None:
    """Whatever was asked for, where the caller wants what the backend gives."""
    read = parse_embeddings(json.dumps(body).encode(), encoding_format=asked)
    sent = EmbeddingList.FromString(read.SerializeToString())
    assert meaning(render_embeddings(sent, encoding_format="as it is")) == embedded(body)


@given(st.binary(max_size=20) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_read_or_no_json_object(body: bytes) -> None:
    """Any other exception than ValueError would be a fault of ours."""
    try:
        embeddings, text = parse_embeddings(body, encoding_format="base64"), parse_text(body)
    except ValueError:
        return
    assert isinstance(json.loads(render_embeddings(embeddings, encoding_format="float")), dict)
    assert isinstance(json.loads(render_text(text)), dict)


def listed(embedding: Embedding, encoding_format: str) -> Any:
    """Return how a vector is written."""
    body = render_embeddings(EmbeddingList(data=[embedding]), encoding_format=encoding_format)
    return json.loads(body)["data"][0]["embedding"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_vector_is_written_as_its_caller_asked(values: list[float]) -> None:
    """Numbers and base64 become one another without a bit of float32 lost."""
    packed = struct.pack(f"<{len(values)}f", *values)
    text = base64.b64encode(packed).decode()
    numbers, octets = Embedding(doubles=DoubleVector(values=values)), Embedding(float32_le=packed)
    for vector in (numbers, octets):
        assert listed(vector, "float") == listed(vector, "") == values
        assert listed(vector, "base64") == text
    assert (listed(numbers, "int8"), listed(octets, "int8")) == (values, text)


def test_a_number_beyond_float32_stays_a_number() -> None:
    """Base64 would make it infinite."""
    vector = Embedding(doubles=DoubleVector(values=[1e300, 1]))
    assert listed(vector, "base64") == [1e300, 1]


def test_a_text_is_a_vector_only_where_base64_was_asked_for() -> None:
    """A vendor's own encoding, such as int8, looks the same."""
    body = b'{"data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}]}'
    (asked,) = parse_embeddings(body, encoding_format="base64").data
    assert asked.float32_le == struct.pack("<f", 1)
    (unasked,) = parse_embeddings(body, encoding_format="base64_int8").data
    assert unasked.other_json == '"AACAPw=="'
    assert listed(unasked, "base64_int8") == listed(unasked, "float") == "AACAPw=="


@pytest.mark.parametrize("embedding", ['"AA"', '"AACAPx=="', '"?"', '""', "[[1]]", '{"a":1}', "[1, null]"])
def test_what_is_no_vector_is_carried(embedding: str) -> None:
    """Verbatim."""
    body = f'{{"data":[{{"embedding":{embedding}}}]}}'.encode()
    (read,) = parse_embeddings(body, encoding_format="base64").data
    assert read.other_json == embedding
