"""The main job on a real engine: official SDK and gRPC stub in front, llama.cpp behind."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import StreamRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.message_pb2 import ChatMessage
from tests.support.engine import MODEL, Engine, engine
from tests.support.gateway import Gateway, serve

# As long as the context, and too large for the buffers on its way: still under way when a test steps in.
ENDLESS: Any = {
    "max_tokens": 100_000,
    "logprobs": True,
    "top_logprobs": 20,
    "extra_body": {"ignore_eos": True},
}

HELLO: Any = [{"role": "user", "content": "print the list"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo"]}},
            "required": ["city"],
        },
    },
}


def _dead_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _config(url: str) -> str:
    return f"""
backends:
  dead: {{dialect: openai, url: http://127.0.0.1:{_dead_port()}/v1, models: [tiny-chat]}}
  local: {{dialect: openai, url: {url}}}
models:
  gpt-4: [dead/tiny-chat, local/tiny-chat]
"""


@pytest.fixture(scope="module")
def gateway(
    running_engine: Engine, tmp_path_factory: pytest.TempPathFactory, layout: Mapping[str, str]
) -> Iterator[Gateway]:
    file = tmp_path_factory.mktemp("config") / "portico.yaml"
    file.write_text(_config(running_engine.url), encoding="utf-8")
    with serve(file, env=layout) as started:
        yield started


def test_the_answer_is_the_engines_own(gateway: Gateway, running_engine: Engine) -> None:
    """Through an alias whose first candidate is dead, the text is what the engine gives directly."""
    wanted: Any = {"messages": HELLO, "temperature": 0, "max_tokens": 24, "seed": 1}
    direct = openai.OpenAI(base_url=running_engine.url, api_key="none").chat.completions.create(
        model=MODEL, **wanted
    )
    routed = gateway.sdk().chat.completions.with_raw_response.create(model="gpt-4", **wanted)
    answer = routed.parse()
    assert answer.model == "gpt-4"
    assert answer.choices[0].message.content == direct.choices[0].message.content
    assert answer.usage is not None
    assert direct.usage is not None
    assert answer.usage.completion_tokens == direct.usage.completion_tokens
    assert routed.headers["x-portico-model"] == "local/tiny-chat"
    assert routed.headers["x-portico-attempts"] == "2"


@pytest.mark.parametrize("model", ["gpt-4", "local/tiny-chat", "tiny-chat"])
def test_alias_prefix_and_listed_name_stream_alike(gateway: Gateway, model: str) -> None:
    wanted: Any = {"messages": HELLO, "temperature": 0, "max_tokens": 24}
    sdk = gateway.sdk()
    if model == "tiny-chat":
        # The dead backend lists it first: a listed name has one candidate, and that one is down.
        with pytest.raises(openai.InternalServerError):
            sdk.chat.completions.create(model=model, **wanted)
        return
    whole = sdk.chat.completions.create(model=model, **wanted)
    pieces = [
        choice.delta.content or ""
        for chunk in sdk.chat.completions.create(model=model, stream=True, **wanted)
        for choice in chunk.choices
    ]
    assert len(pieces) > 5
    assert "".join(pieces) == whole.choices[0].message.content


def test_the_engine_calls_tools(gateway: Gateway) -> None:
    sdk = gateway.sdk()
    answer = sdk.chat.completions.create(
        model="gpt-4", messages=HELLO, tools=[WEATHER], max_tokens=400, temperature=0
    )
    # The tiny model may go on with blanks after its call until the limit ends it.
    assert answer.choices[0].finish_reason in {"tool_calls", "length"}
    calls = answer.choices[0].message.tool_calls or []
    assert calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    json.loads(calls[0].function.arguments)
    chunks = sdk.chat.completions.create(
        model="gpt-4", messages=HELLO, tools=[WEATHER], max_tokens=400, temperature=0, stream=True
    )
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    assert {piece.function.name for piece in pieces if piece.function and piece.function.name} == {
        "get_weather"
    }
    first = [piece.function.arguments or "" for piece in pieces if piece.index == 0 and piece.function]
    assert len(first) > 1
    assert json.loads("".join(first))["city"] in {"Rome", "Oslo"}

    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "rain"}
    history: Any = [*HELLO, answer.choices[0].message.to_dict(), result]
    after = sdk.chat.completions.create(model="gpt-4", messages=history, tools=[WEATHER], max_tokens=30)
    assert after.choices[0].message.content


def test_a_stub_streams_from_the_engine(gateway: Gateway) -> None:
    params = ChatCompletionParams(
        model="local/tiny-chat", messages=[ChatMessage(role="user", content="print the list")], max_tokens=16
    )
    with grpc.insecure_channel(gateway.grpc) as channel:
        responses = list(GatewayServiceStub(channel).Stream(StreamRequest(params=params), timeout=30))
    assert responses[0].header.model == "local/tiny-chat"
    assert any(chunk.usage.completion_tokens for response in responses for chunk in response.chunks)


def test_structured_output_and_logprobs_pass_through(gateway: Gateway) -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    answer = gateway.sdk().chat.completions.create(
        model="gpt-4",
        messages=HELLO,
        max_tokens=100,
        logprobs=True,
        top_logprobs=2,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content or "")["n"], int)
    assert answer.choices[0].logprobs is not None
    assert len((answer.choices[0].logprobs.content or [])[0].top_logprobs) == 2


def test_killing_the_engine_in_mid_stream_is_told_within_a_second(
    tiny_model: Path, gateways: Callable[[str], Gateway]
) -> None:
    """The client gets an error event, and the next request a clean error; then a clean answer again."""
    with engine(tiny_model) as victim:
        gateway = gateways(_config(victim.url))
        sdk = gateway.sdk()
        wanted: Any = {"model": "local/tiny-chat", "messages": HELLO}
        stream = sdk.chat.completions.create(stream=True, **wanted, **ENDLESS)
        for _ in range(10):
            next(stream)
        victim.process.popen.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        with pytest.raises(openai.APIError, match=r"broke off|failed|lost"):
            list(stream)
        assert time.monotonic() - killed < 1
        with pytest.raises(openai.InternalServerError) as refused:
            sdk.chat.completions.create(**wanted)
        assert refused.value.status_code == 502
        port = int(victim.url.rpartition(":")[2].partition("/")[0])
    with engine(tiny_model, port):
        answer = sdk.chat.completions.create(model="gpt-4", messages=HELLO, max_tokens=8)
        assert answer.usage is not None


def test_a_client_that_leaves_stops_the_engine(gateway: Gateway, running_engine: Engine) -> None:
    """The engine's own slot falls idle within a second, long before its answer would have ended."""
    stream = gateway.sdk().chat.completions.create(
        model="local/tiny-chat", messages=HELLO, stream=True, **ENDLESS
    )
    next(stream)
    assert _busy(running_engine)
    stream.close()
    left = time.monotonic()
    while _busy(running_engine):
        assert time.monotonic() - left < 1


def _busy(running: Engine) -> bool:
    slots: Any = openai.OpenAI(base_url=running.url.removesuffix("/v1"), api_key="none").get(
        "/slots", cast_to=object
    )
    return any(slot["is_processing"] for slot in slots)
