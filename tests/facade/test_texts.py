"""POST /v1/completions and /v1/embeddings: the answer's shape, whole and streamed."""

import base64
import struct

import pytest

from portico.errors import invalid_request, upstream_failed
from portico.testing.gateway import FakeGateway
from portico.v1.chunk_pb2 import ChunkHeader
from portico.v1.completions_pb2 import TextChoice, TextCompletion, TextInput
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList
from portico.v1.gateway_pb2 import (
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.usage_pb2 import Usage
from tests.facade.clients import Facade
from tests.facade.messages import LIMITS, SERVED

TEXTS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
USAGE = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
ASKED = {"model": "gpt-4", "prompt": "Once"}


def piece(text: str, finish_reason: str | None = None) -> TextCompletion:
    return TextCompletion(choices=[TextChoice(index=0, text=text, finish_reason=finish_reason)])


async def test_a_text_is_openai_s_and_says_who_served_it(portico: Facade, gateway: FakeGateway) -> None:
    """Body and headers; the gateway gets the parameters and the caller's headers."""
    completion = TextCompletion(id="cmpl-1", created=1, model="gpt-4", usage=USAGE)
    completion.choices.add(index=0, text=" upon", finish_reason="stop")
    gateway.on_complete = [CompleteResponse(completion=completion, served=SERVED, headers=LIMITS)]
    answer = await portico.ask("POST", TEXTS, {**ASKED, "echo": True}, x_tenant="a")
    assert answer.status == 200
    assert answer.json == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-4",
        "choices": [{"text": " upon", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert answer.headers["x-portico-model"] == "local/qwen2.5:32b"
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    request = (await gateway.ended()).request
    assert isinstance(request, CompleteRequest)
    assert (request.params.prompt, request.params.echo) == (TextInput(text="Once"), True)
    assert Header(name="x-tenant", value=b"a") in request.headers


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_streamed_text_is_events_and_then_done(
    portico: Facade, gateway: FakeGateway, include_usage: bool
) -> None:
    """One write per message of the gateway; usage last, and only when asked for."""
    header = ChunkHeader(id="cmpl-1", created=1, model="gpt-4")
    gateway.on_stream_complete = [
        StreamCompleteResponse(header=header, served=SERVED, chunks=[piece(" up"), piece("on")]),
        StreamCompleteResponse(chunks=[piece("", "stop"), TextCompletion(usage=USAGE)]),
    ]
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    answer = await portico.ask("POST", TEXTS, {**ASKED, "stream": True, **options})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-portico-model"] == "local/qwen2.5:32b"
    *chunks, done = answer.events
    assert done == "[DONE]"
    if include_usage:
        assert chunks.pop()["usage"]["total_tokens"] == 3
    assert [chunk["choices"][0]["text"] for chunk in chunks] == [" up", "on", ""]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert {chunk["id"] for chunk in chunks} == {"cmpl-1"}
    assert all(("usage" in chunk) is include_usage for chunk in chunks)
    assert isinstance((await gateway.ended()).request, StreamCompleteRequest)


async def test_a_streamed_text_that_fails_ends_with_an_error_event(
    portico: Facade, gateway: FakeGateway
) -> None:
    """And without [DONE]."""
    gateway.on_stream_complete = [StreamCompleteResponse(chunks=[piece("a")]), upstream_failed("It broke.")]
    answer = await portico.ask("POST", TEXTS, {**ASKED, "stream": True})
    assert answer.events[-1]["error"]["message"] == "It broke."


@pytest.mark.parametrize("vector", ["numbers", "octets"])
async def test_a_vector_comes_as_it_was_asked_for(portico: Facade, gateway: FakeGateway, vector: str) -> None:
    """Numbers by default, base64 where asked for, whatever the backend gave."""
    packed = struct.pack("<2f", 0.5, -1)
    given = {
        "numbers": Embedding(index=0, doubles=DoubleVector(values=[0.5, -1])),
        "octets": Embedding(index=0, float32_le=packed),
    }[vector]
    embeddings = EmbeddingList(model="gpt-4", data=[given], usage=USAGE)
    gateway.on_embed = [EmbedResponse(embeddings=embeddings, served=SERVED)]
    body = {"model": "gpt-4", "input": ["a"], "dimensions": 2}
    answer = await portico.ask("POST", EMBEDDINGS, body)
    assert answer.json["object"] == "list"
    assert answer.json["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, -1]}]
    assert answer.json["usage"]["prompt_tokens"] == 1
    assert answer.headers["x-portico-model"] == "local/qwen2.5:32b"
    as_text = await portico.ask("POST", EMBEDDINGS, {**body, "encoding_format": "base64"})
    assert as_text.json["data"][0]["embedding"] == base64.b64encode(packed).decode()
    request = (await gateway.ended(2)).request
    assert isinstance(request, EmbedRequest)
    assert (request.params.dimensions, request.params.encoding_format) == (2, "base64")


async def test_what_is_wrong_is_named(portico: Facade, gateway: FakeGateway) -> None:
    """By the facade, and by the gateway."""
    refused = await portico.ask("POST", EMBEDDINGS, {"model": "m"})
    assert (refused.status, refused.json["error"]["param"]) == (400, "input")
    refused = await portico.ask("POST", TEXTS, {"model": "m", "prompt": 5})
    assert (refused.status, refused.json["error"]["param"]) == (400, "prompt")
    assert not gateway.calls
    gateway.on_complete = [invalid_request("No suffix here.", "suffix")]
    refused = await portico.ask("POST", TEXTS, {**ASKED, "suffix": "x"})
    assert (refused.status, refused.json["error"]["param"]) == (400, "suffix")


@pytest.mark.parametrize("path", [TEXTS, EMBEDDINGS])
async def test_only_post_is_taken(portico: Facade, path: str) -> None:
    """405, and what it takes."""
    answer = await portico.ask("GET", path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
