"""What every call sends and returns, with both clients and a live server."""

import struct
from typing import Any

import pytest
from google.protobuf import text_format

from portico.client import ChatAnswer, system, user
from portico.v1.chat_pb2 import ChatCompletion, ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletion, TextCompletionParams
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList, EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    GetModelResponse,
    GetStatusResponse,
    ListModelsResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico.v1.receipt_pb2 import Receipt, Served
from tests.proto.client.callers import Dial
from tests.proto.client.service import Service

SERVED = Served(backend="local", model="qwen")
HEADERS = [Header(name="x-ratelimit-remaining-requests", value=b"7")]
MESSAGES = [system("Be brief."), user("hello")]


def chat_response(text: str) -> ChatResponse:
    response = ChatResponse(served=SERVED, headers=HEADERS)
    response.completion.choices.add(index=0).message.content = text
    return response


async def test_chat_sends_model_and_messages_and_returns_the_answer(client: Any, service: Service) -> None:
    """The message of the contract, its text, who served it, the backend's headers, the receipt."""
    service.script = [chat_response("hi")]
    service.receipt = Receipt(request_id="r1", duration_ms=3)
    answer = await client.chat("gpt-4", MESSAGES, request_id="r1")
    assert service.calls[0].request.params == ChatCompletionParams(model="gpt-4", messages=MESSAGES)
    assert isinstance(answer, ChatAnswer)
    assert answer.text == "hi"
    assert answer.message == answer.completion.choices[0].message
    assert answer.served == SERVED
    assert answer.headers == {"x-ratelimit-remaining-requests": b"7"}
    assert answer.receipt == service.receipt
    assert answer.request_id == "r1"


async def test_params_ask_for_the_rest_and_are_left_as_they_are(client: Any, service: Service) -> None:
    """A model and messages beside params replace those in it, in the request alone."""
    service.script = [chat_response("hi")]
    params = ChatCompletionParams(model="old", messages=[user("old")], temperature=0.5)
    await client.chat("gpt-4", "hello", params=params)
    expected = ChatCompletionParams(model="gpt-4", messages=[user("hello")], temperature=0.5)
    assert service.calls[0].request.params == expected
    assert params.model == "old"
    await client.chat(params=params)
    assert service.calls[1].request.params == params


async def test_complete_sends_one_prompt_or_several(client: Any, service: Service) -> None:
    completion = TextCompletion()
    completion.choices.add(index=0, text=" upon a time")
    service.script = [CompleteResponse(completion=completion, served=SERVED)]
    answer = await client.complete("base", "Once", params=TextCompletionParams(max_tokens=4))
    assert (answer.text, answer.completion, answer.served) == (" upon a time", completion, SERVED)
    params = service.calls[0].request.params
    assert (params.model, params.prompt.text, params.max_tokens) == ("base", "Once", 4)
    await client.complete("base", ["a", "b"])
    assert list(service.calls[1].request.params.prompt.texts.values) == ["a", "b"]


async def test_embed_returns_vectors_in_the_order_of_the_texts(client: Any, service: Service) -> None:
    """Whichever form the backend gave them in."""
    data = [
        Embedding(index=1, float32_le=struct.pack("<2f", 0.5, -2)),
        Embedding(index=0, doubles=DoubleVector(values=[0.1, 0.2])),
    ]
    service.script = [EmbedResponse(embeddings=EmbeddingList(data=data))]
    answer = await client.embed("small", ["a", "b"], params=EmbeddingParams(dimensions=2))
    assert [list(vector) for vector in answer.vectors] == [[0.1, 0.2], [0.5, -2.0]]
    params = service.calls[0].request.params
    assert (list(params.input.texts.values), params.dimensions) == (["a", "b"], 2)


async def test_a_vendors_form_of_embedding_is_refused_by_name(client: Any, service: Service) -> None:
    data = [Embedding(index=0, other_json="[[1],[2]]")]
    service.script = [EmbedResponse(embeddings=EmbeddingList(data=data))]
    answer = await client.embed("small", "a")
    assert service.calls[0].request.params.input.text == "a"
    with pytest.raises(ValueError, match="other_json"):
        print(answer.vectors)


async def test_models_are_listed_and_found_by_name(client: Any, service: Service) -> None:
    models = [Model(id="gpt-4"), Model(id="dummy/echo-1")]
    service.script = [ListModelsResponse(models=models)]
    assert await client.models() == models
    service.script = [GetModelResponse(model=models[1])]
    assert await client.model("dummy/echo-1") == models[1]
    assert service.calls[1].request.id == "dummy/echo-1"


async def test_status_tells_how_the_gateway_does(client: Any, service: Service) -> None:
    service.script = [GetStatusResponse(version="1.2.3", uptime_seconds=5)]
    assert await client.status() == service.script[0]


async def test_what_travels_beside_a_request(dial: Dial, target: str, service: Service) -> None:
    """The key, the request id and the trace as metadata; the caller's HTTP headers in the message."""
    service.script = [chat_response("hi")]
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with dial(target, api_key="sk-1", timeout=60) as client:
        await client.chat(
            "gpt-4",
            "hello",
            request_id="r1",
            traceparent=trace,
            headers={"X-Tenant": "Zoë", "x-raw": b"\xff"},
        )
        await client.chat("gpt-4", "hello")
    first, second = service.calls
    assert first.metadata["authorization"] == "Bearer sk-1"
    assert first.metadata["x-request-id"] == "r1"
    assert first.metadata["traceparent"] == trace
    expected = [Header(name="x-tenant", value="Zoë".encode()), Header(name="x-raw", value=b"\xff")]
    assert list(first.request.headers) == expected
    assert second.metadata["x-request-id"] not in ("", "r1")
    assert "traceparent" not in second.metadata


async def test_without_a_key_there_is_no_authorization(client: Any, service: Service) -> None:
    service.script = [chat_response("hi")]
    answer = await client.chat("gpt-4", "hello")
    assert "authorization" not in service.calls[0].metadata
    assert answer.request_id == service.calls[0].metadata["x-request-id"]


async def test_the_deadline_is_the_clients_or_the_calls(dial: Dial, target: str, service: Service) -> None:
    """None lifts the client's; without either there is none."""
    service.script = [chat_response("hi")]
    async with dial(target, timeout=60) as client:
        await client.chat("gpt-4", "hello")
        await client.chat("gpt-4", "hello", timeout=20)
        await client.chat("gpt-4", "hello", timeout=None)
    async with dial(target) as client:
        await client.chat("gpt-4", "hello")
    first, second, lifted, neither = (call.remaining for call in service.calls)
    # gRPC sends deadlines rounded up.
    assert first is not None
    assert 50 < first < 61
    assert second is not None
    assert 10 < second < 21
    assert lifted is None
    assert neither is None


async def test_a_misspelt_option_is_an_error(client: Any) -> None:
    with pytest.raises(TypeError, match="timout"):
        await client.chat("gpt-4", "hello", timout=3)


async def test_big_messages_pass_both_ways(client: Any, service: Service) -> None:
    """Images travel inside requests: 20 MB are five times what gRPC takes when left alone."""
    text = "x" * 20_000_000
    service.script = [chat_response(text)]
    answer = await client.chat("gpt-4", text)
    assert service.calls[0].request.params.messages[0].content == text
    assert answer.text == text


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ('content: "plain"', "plain"),
        ('content_parts {type: "text" text: "a"} content_parts {type: "text" text: "b"}', "ab"),
        ('tool_calls {id: "1"}', ""),
    ],
)
async def test_the_text_of_an_answer(client: Any, service: Service, completion: str, text: str) -> None:
    """Plain, in parts, or none where the model calls tools."""
    whole = text_format.Parse(f"choices {{ message {{ {completion} }} }}", ChatCompletion())
    service.script = [ChatResponse(completion=whole)]
    assert (await client.chat("gpt-4", "hello")).text == text
