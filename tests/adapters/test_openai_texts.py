"""Text completions and embeddings of OpenAI's dialect: what is asked, and what becomes of the answers."""

import json
from typing import Any

import pytest

from portico.adapter import CompletionCall, EmbeddingCall
from portico.errors import GatewayError
from portico.openai.responses import parse_embeddings, parse_text
from portico.testing.wire import answer, streamed
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from tests.adapters.openai_tools import backend
from tests.support.corpus import Case, parametrize

TEXT = CompletionCall(TextCompletionParams(model="public", prompt=TextInput(text="Once")), "m")
SIZES = pytest.mark.parametrize("size", [None, 64, 1], ids=["whole", "64 bytes", "1 byte"])


def _is_text(case: Case) -> bool:
    return case.path.endswith("/completions") and not case.path.endswith("/chat/completions")


def _is_embedding(case: Case) -> bool:
    return case.path.endswith("/v1/embeddings")


def _vector(case: Case) -> EmbeddingCall:
    encoding = (case.request or {}).get("encoding_format")
    return EmbeddingCall(EmbeddingParams(input=TextInput(text="a"), encoding_format=encoding), "m")


@SIZES
@parametrize(lambda case: _is_text(case) and case.status == 200 and case.stream is None)
async def test_a_recorded_text_says_what_the_dialect_makes_of_it(case: Case, size: int | None) -> None:
    """However it is cut."""
    async with backend(answer(case.body, size=size)) as (adapter, _):
        assert (await adapter.complete(TEXT)).completion == parse_text(case.body)


@SIZES
@parametrize(lambda case: _is_text(case) and case.status == 200 and case.stream == "sse")
async def test_a_recorded_stream_of_text_says_what_its_events_say(case: Case, size: int | None) -> None:
    """However it is cut, to its end."""
    data = [
        line[5:] for line in case.body.splitlines() if line.startswith(b"data:") and b"[DONE]" not in line
    ]
    wanted: list[Any] = [json.loads(each) for each in data]
    async with backend(streamed(case.body, size=size)) as (adapter, upstream):
        messages = [message async for message in adapter.stream_complete(TEXT)]
        assert upstream.open_connections == 1, "the body was not read to its end"
    found = [choice.text for message in messages for chunk in message.chunks for choice in chunk.choices]
    assert found == [choice["text"] for each in wanted for choice in each["choices"]]
    assert messages[0].header.model == wanted[0]["model"]


@parametrize(lambda case: _is_embedding(case) and case.status == 200)
async def test_recorded_embeddings_say_what_the_dialect_makes_of_them(case: Case) -> None:
    """By what was asked for."""
    call = _vector(case)
    async with backend(answer(case.body)) as (adapter, _):
        embeddings = (await adapter.embed(call)).embeddings
    assert embeddings == parse_embeddings(case.body, encoding_format=call.params.encoding_format)


@parametrize(lambda case: (_is_text(case) or _is_embedding(case)) and case.status >= 400)
async def test_recorded_errors_are_raised(case: Case) -> None:
    """With the status that the backend gave."""
    async with backend(answer(case.body, case.status)) as (adapter, _):
        with pytest.raises(GatewayError) as caught:
            await (adapter.embed(_vector(case)) if _is_embedding(case) else adapter.complete(TEXT))
    assert caught.value.upstream_status == case.status


async def test_what_is_asked_goes_to_its_endpoint() -> None:
    """Under the backend's name for the model; a stream asks for its usage."""
    body = b'{"choices":[{"index":0,"text":"a","finish_reason":"stop"}],"data":[{"embedding":[1]}]}'
    async with backend(answer(body), answer(body), streamed(b"data: [DONE]\n\n")) as (adapter, upstream):
        await adapter.complete(TEXT)
        params = EmbeddingParams(model="public", input=TextInput(text="a"), encoding_format="base64")
        await adapter.embed(EmbeddingCall(params, "e"))
        async for _ in adapter.stream_complete(TEXT):
            pass
    text, vector, stream = upstream.requests
    assert text.path == stream.path == "/v1/completions"
    assert json.loads(text.body) == {"model": "m", "prompt": "Once"}
    assert vector.path == "/v1/embeddings"
    assert json.loads(vector.body) == {"model": "e", "input": "a", "encoding_format": "base64"}
    asked = json.loads(stream.body)
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
