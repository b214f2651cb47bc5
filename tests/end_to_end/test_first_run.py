"""What a new user does first: run the gateway with nothing configured, and talk to it."""

import asyncio
import json
import subprocess
from typing import Any

import grpc
import openai
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatRequest, ListModelsRequest, StreamRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.message_pb2 import ChatMessage
from tests.support.gateway import Gateway
from tests.support.health import health_stub
from tests.support.processes import portico

HELLO: Any = [{"role": "user", "content": "hello portico"}]


def test_the_sdk_chats_with_only_base_url_changed(default_gateway: Gateway) -> None:
    answer = default_gateway.sdk().chat.completions.create(model="dummy/echo-1", messages=HELLO)
    assert answer.model == "dummy/echo-1"
    assert answer.choices[0].message.content == "hello portico"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_the_sdk_streams_role_first_and_usage_when_asked(default_gateway: Gateway) -> None:
    chunks = list(
        default_gateway.sdk().chat.completions.create(
            model="dummy/story-1",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_has_no_usage_unless_asked(default_gateway: Gateway) -> None:
    chunks = list(
        default_gateway.sdk().chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True)
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_stream_helper_builds_what_an_unstreamed_call_returns(default_gateway: Gateway) -> None:
    sdk = default_gateway.sdk()
    whole = sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, seed=7)
    with sdk.chat.completions.stream(model="dummy/story-1", messages=HELLO, seed=7) as stream:
        built = stream.get_final_completion()
    assert built.choices[0].message.content == whole.choices[0].message.content


async def test_the_async_sdk_chats_and_streams(default_gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=default_gateway.url, api_key="none", max_retries=0) as sdk:
        answers = await asyncio.gather(
            *(sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO) for _ in range(20))
        )
        assert {answer.choices[0].message.content for answer in answers} == {"hello portico"}
        stream = await sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello portico"


def test_models_are_listed_and_found_by_name(default_gateway: Gateway) -> None:
    sdk = default_gateway.sdk()
    assert [model.id for model in sdk.models.list()] == ["dummy/echo-1", "dummy/story-1"]
    assert sdk.models.retrieve("dummy/echo-1").owned_by == "dummy"


def test_errors_are_the_sdks_own_classes(default_gateway: Gateway) -> None:
    sdk = default_gateway.sdk()
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.chat.completions.create(model="nobody/knows", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("nobody/knows")
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(
            model="dummy/echo-1",
            messages=HELLO,
            tools=[{"type": "function", "function": {"name": "f"}}],
        )
    assert refused.value.param == "tools"
    with pytest.raises(openai.BadRequestError) as wrong:
        sdk.chat.completions.create(model="dummy/echo-1", messages=[{"content": "x"}])  # type: ignore[list-item]
    assert wrong.value.param == "messages[0].role"


def test_curl_gets_server_sent_events(default_gateway: Gateway) -> None:
    body = json.dumps({"model": "dummy/echo-1", "stream": True, "messages": HELLO})
    command = ["curl", "-sN", f"{default_gateway.url}/chat/completions", "-d", body]
    lines = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=30
    ).stdout.splitlines()
    events = [line.removeprefix("data: ") for line in lines if line]
    assert events[-1] == "[DONE]"
    assert "".join(
        json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]
    ) == ("hello portico")


def test_a_stub_skips_http(default_gateway: Gateway) -> None:
    params = ChatCompletionParams(
        model="dummy/echo-1", messages=[ChatMessage(role="user", content="hello stub")]
    )
    with grpc.insecure_channel(default_gateway.grpc) as channel:
        stub = GatewayServiceStub(channel)
        assert stub.ListModels(ListModelsRequest()).models[0].id == "dummy/echo-1"
        answer = stub.Chat(ChatRequest(params=params), timeout=10)
        assert answer.completion.choices[0].message.content == "hello stub"
        assert answer.served.backend == "dummy"
        pieces = [
            choice.delta.content
            for response in stub.Stream(StreamRequest(params=params), timeout=10)
            for chunk in response.chunks
            for choice in chunk.choices
        ]
    assert "".join(pieces) == "hello stub"


async def test_health_and_reflection_answer_over_grpc(default_gateway: Gateway) -> None:
    async with aio.insecure_channel(default_gateway.grpc) as channel:
        health = health_stub(channel)
        for service in ("", "portico.v1.GatewayService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(default_gateway.grpc) as channel:
        assert "portico.v1.GatewayService" in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_the_command_line_chats(default_gateway: Gateway) -> None:
    with portico("chat", "hello terminal", "--grpc", default_gateway.grpc) as chat:
        chat.wait_for("hello terminal")
        assert chat.popen.wait(10) == 0


def test_the_gateway_drains_and_exits_cleanly(default_gateway: Gateway) -> None:
    """Last in this file: it stops the module's gateway."""
    assert default_gateway.process.stop() == 0
