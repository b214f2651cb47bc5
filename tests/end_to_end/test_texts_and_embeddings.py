"""Text completions and embeddings with the official SDK: on the dummy backend and on a real engine."""

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import openai
import pytest

from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import CompleteRequest, EmbedRequest, StreamCompleteRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from tests.support.engine import Engine
from tests.support.gateway import Gateway, serve


def _dead_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def gateway(
    running_engine: Engine, tmp_path_factory: pytest.TempPathFactory, layout: Mapping[str, str]
) -> Iterator[Gateway]:
    """The engine behind an alias whose first candidate is dead."""
    file = tmp_path_factory.mktemp("config") / "portico.yaml"
    file.write_text(
        f"""
backends:
  dead: {{dialect: openai, url: http://127.0.0.1:{_dead_port()}/v1, models: [tiny-chat]}}
  local: {{dialect: openai, url: {running_engine.url}}}
models:
  davinci: [dead/tiny-chat, local/tiny-chat]
""",
        encoding="utf-8",
    )
    with serve(file, env=layout) as started:
        yield started


def test_the_dummy_repeats_a_prompt(default_gateway: Gateway) -> None:
    """Whole and streamed, for several prompts, n times each, and after the prompt itself."""
    create: Any = default_gateway.sdk().completions.create
    answer = create(model="dummy/echo-1", prompt=["one two", "three"], n=2, echo=True)
    assert [choice.text for choice in answer.choices] == ["one twoone two"] * 2 + ["threethree"] * 2
    assert answer.object == "text_completion"
    assert answer.model == "dummy/echo-1"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    options = {"include_usage": True}
    chunks = list(create(model="dummy/echo-1", prompt="one two", stream=True, stream_options=options))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "one two"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 2
    with pytest.raises(openai.BadRequestError, match="suffix") as refused:
        create(model="dummy/echo-1", prompt="a", suffix="b")
    assert refused.value.param == "suffix"


def test_the_dummy_embeds(default_gateway: Gateway) -> None:
    """The SDK asks for base64 unless it is told otherwise; both are one vector."""
    create = default_gateway.sdk().embeddings.create
    default = create(model="dummy/echo-1", input=["a b", "c"])
    numbers = create(model="dummy/echo-1", input=["a b", "c"], encoding_format="float")
    assert [each.index for each in default.data] == [0, 1]
    for one, other in zip(default.data, numbers.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert len(one.embedding) == 64
    assert numbers.usage.prompt_tokens == 3
    assert len(create(model="dummy/echo-1", input="a", dimensions=8).data[0].embedding) == 8
    with pytest.raises(openai.BadRequestError, match="dimensions") as refused:
        create(model="dummy/echo-1", input="a", dimensions=100_000)
    assert refused.value.param == "dimensions"
    with pytest.raises(openai.NotFoundError):
        create(model="nobody", input="a")


def test_the_engine_continues_a_prompt_as_it_does_alone(gateway: Gateway, running_engine: Engine) -> None:
    """Through an alias whose first candidate is dead; whole and streamed."""
    wanted: Any = {"prompt": "The class", "temperature": 0, "max_tokens": 16, "seed": 1}
    direct = openai.OpenAI(base_url=running_engine.url, api_key="none").completions.create(
        model="tiny-chat", **wanted
    )
    routed = gateway.sdk().completions.with_raw_response.create(model="davinci", **wanted)
    answer = routed.parse()
    assert answer.choices[0].text == direct.choices[0].text != ""
    assert answer.choices[0].finish_reason == direct.choices[0].finish_reason
    assert answer.usage is not None
    assert direct.usage is not None
    assert answer.usage.total_tokens == direct.usage.total_tokens
    assert answer.model == "davinci"
    assert answer.id
    assert routed.headers["x-portico-model"] == "local/tiny-chat"
    assert routed.headers["x-portico-attempts"] == "2"
    chunks = list(gateway.sdk().completions.create(model="davinci", stream=True, **wanted))
    assert len(chunks) > 5
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == answer.choices[0].text
    assert {chunk.model for chunk in chunks} == {"davinci"}


def test_the_engine_takes_every_form_of_prompt_and_option(gateway: Gateway, running_engine: Engine) -> None:
    """Several prompts, tokens, n, stop and logprobs, each as the engine answers them alone."""
    alone: Any = openai.OpenAI(base_url=running_engine.url, api_key="none").completions.create
    routed: Any = gateway.sdk().completions.create
    for options in (
        {"prompt": ["The class", "The list"], "max_tokens": 4},
        {"prompt": [5, 6, 7], "max_tokens": 4},
        {"prompt": [[5, 6], [7]], "max_tokens": 4},
        {"prompt": "The class", "max_tokens": 4, "n": 2},
        {"prompt": "The class", "max_tokens": 16, "stop": ["e"]},
        {"prompt": "The class", "max_tokens": 3, "logprobs": 2},
    ):
        wanted = alone(model="tiny-chat", temperature=0, **options)
        found = routed(model="local/tiny-chat", temperature=0, **options)
        assert _bare(found.choices) == _bare(wanted.choices), options


def _bare(choices: Any) -> Any:
    """Return what the engine said of the choices; it leaves out what the gateway tells as null."""
    return [
        {name: value for name, value in choice.to_dict(warnings=False).items() if value is not None}
        for choice in choices
    ]


def test_the_engine_embeds_as_it_does_alone(gateway: Gateway, running_engine: Engine) -> None:
    """Numbers, base64, and what it refuses."""
    alone: Any = openai.OpenAI(base_url=running_engine.url, api_key="none").embeddings.create
    routed: Any = gateway.sdk().embeddings.create
    for options in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        wanted = alone(model="tiny-chat", input=["hello", "world"], **options)
        found = routed(model="davinci", input=["hello", "world"], **options)
        assert [each.embedding for each in found.data] == [each.embedding for each in wanted.data]
        assert found.usage == wanted.usage
        assert found.model == "davinci"
    with pytest.raises(openai.BadRequestError, match="input"):
        routed(model="davinci", input=[])


def test_stubs_complete_and_embed(gateway: Gateway) -> None:
    """An internal service needs no HTTP."""
    params = TextCompletionParams(
        model="davinci", prompt=TextInput(text="The class"), max_tokens=8, extra_json='{"ignore_eos":true}'
    )
    with grpc.insecure_channel(gateway.grpc) as channel:
        stub = GatewayServiceStub(channel)
        whole = stub.Complete(CompleteRequest(params=params), timeout=30)
        assert whole.completion.choices[0].text
        assert whole.served.backend == "local"
        messages = list(stub.StreamComplete(StreamCompleteRequest(params=params), timeout=30))
        assert messages[0].header.model == "davinci"
        assert any(chunk.usage.completion_tokens for message in messages for chunk in message.chunks)
        asked = EmbeddingParams(model="davinci", input=TextInput(text="hello"))
        embedded = stub.Embed(EmbedRequest(params=asked), timeout=30)
        assert len(embedded.embeddings.data[0].doubles.values) > 8
