"""Chat answers: Converse's JSON and frames in, OpenAI's out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.testing.assemble import assemble
from portico.testing.wire import pieces
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from portico_adapters.bedrock import chat_answer, chat_stream
from portico_adapters.bedrock.chat_answer import completion_of
from portico_adapters.bedrock.chat_stream import ChatStream
from portico_adapters.bedrock.frames import Frames
from tests.adapters.bedrock.fixtures import ANSWERS, CALL, chat_call, event, exception, frame, frames_of, read

END = event("messageStop", stopReason="end_turn") + event(
    "metadata", usage={"inputTokens": 1, "outputTokens": 1}
)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chat_answer, chat_stream):
        monkeypatch.setattr(module, "now", lambda: 1_700_000_000)


def translated(wire: bytes, size: int | None = None, call: Any = CALL) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives in pieces of ``size`` bytes."""
    translation = Translation(StreamResponse, Frames(1 << 20), ChatStream(call))
    for piece in pieces(wire, size):
        yield from translation.feed(piece)
    yield from translation.close()


def says(text: str) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=0, delta={"text": text})


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_becomes_openais(name: str) -> None:
    """Text, thinking, tool calls, sources, finish reason, usage, what guardrails found."""
    rendered = render_completion(completion_of(read(f"{name}.json"), CALL))
    assert json.loads(rendered) == json.loads(read(f"{name}.openai.json"))


@pytest.mark.parametrize("size", [None, 64, 1])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_becomes_openais(name: str, size: int | None) -> None:
    """Event by event, in pieces of any size."""
    renderer = ChunkRenderer(include_usage=True)
    messages = translated(b"".join(frames_of(name)), size)
    assert b"".join(map(renderer.render, messages)) + renderer.finish() == read(f"{name}.sse")


@pytest.mark.parametrize("name", ANSWERS)
def test_openais_sdk_takes_them_at_their_word(name: str) -> None:
    """Its models hold every member to its type, strictly."""
    ChatCompletion.model_validate_json(read(f"{name}.openai.json"), strict=True)
    for event_ in read(f"{name}.sse").split(b"\n\n")[:-2]:
        ChatCompletionChunk.model_validate_json(event_.removeprefix(b"data: "), strict=True)


@pytest.mark.parametrize(
    ("kind", "error_class", "status", "code"),
    [
        ("throttlingException", ErrorClass.CAPACITY, 429, "rate_limit_exceeded"),
        ("serviceUnavailableException", ErrorClass.CAPACITY, 503, "overloaded"),
        ("internalServerException", ErrorClass.UPSTREAM, 502, "upstream_error"),
        ("modelStreamErrorException", ErrorClass.UPSTREAM, 502, "upstream_error"),
        ("modelTimeoutException", ErrorClass.UPSTREAM, 504, "upstream_timeout"),
        ("validationException", ErrorClass.CALLER, 400, None),
        ("somethingNewException", ErrorClass.UPSTREAM, 502, "upstream_error"),
    ],
)
def test_an_exception_ends_the_stream(
    kind: str, error_class: ErrorClass, status: int, code: str | None
) -> None:
    """As what it is, after what came before it in the same read."""
    translation = Translation(StreamResponse, Frames(1 << 20), ChatStream(CALL))
    messages = translation.feed(says("Hel") + exception(kind, "Too much.") + says("lo"))
    assert assemble([next(messages)]).choices[0].message.content == "Hel"
    with pytest.raises(GatewayError) as raised:
        next(messages)
    error = raised.value
    assert (error.error_class, error.http_status, error.code) == (error_class, status, code)
    assert "Too much." in error.message + error.detail


def test_an_unmodeled_error_ends_the_stream() -> None:
    """It has a code and a message among the headers instead of a payload."""
    headers = {"message-type": "error", "error-code": "InternalFailure", "error-message": "Oh no."}
    with pytest.raises(GatewayError) as raised:
        list(translated(frame(b"", **headers)))
    assert (raised.value.http_status, raised.value.detail) == (502, "Oh no.")


def test_a_prompt_that_is_too_long_may_show_in_the_stream() -> None:
    """With the code by which clients know it."""
    with pytest.raises(GatewayError) as raised:
        list(translated(exception("validationException", "Input is too long for requested model.")))
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("place", [2, 9, 40, -1])
def test_damage_is_the_backends_failure(place: int, size: int | None) -> None:
    """A wrong length or checksum, after what came before it."""
    wire = bytearray(says("lost"))
    wire[place] ^= 0x41
    messages: list[StreamResponse] = []
    with pytest.raises(GatewayError) as raised:
        messages.extend(translated(says("kept") + bytes(wire) + END, size))
    assert raised.value.error_class is ErrorClass.UPSTREAM
    assert assemble(messages).choices[0].message.content == "kept"


@pytest.mark.parametrize("end", [b"", END[:30], END[: -len(END) // 2]])
def test_a_stream_that_breaks_off_is_a_failure(end: bytes) -> None:
    """Between two frames and within one."""
    with pytest.raises(GatewayError) as raised:
        list(translated(says("Hi") + end))
    assert raised.value.error_class is ErrorClass.UPSTREAM


def test_the_counts_may_be_missing() -> None:
    """The reason of the end makes an answer whole."""
    completion = assemble(translated(says("Hi") + event("messageStop", stopReason="end_turn")))
    assert completion.choices[0].finish_reason == "stop"
    assert not completion.HasField("usage")


def test_nothing_counts_after_the_counts() -> None:
    """The stream is done then, whatever follows."""
    translation = Translation(StreamResponse, Frames(1 << 20), ChatStream(CALL))
    messages = list(translation.feed(says("Hi") + END + says("!") + b"rubbish that is no frame at all"))
    assert translation.done
    assert assemble(messages).choices[0].message.content == "Hi"


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_malformed_answer_is_a_failure(reason: str) -> None:
    """Whole and streamed: an error is better than half an answer that looks like one."""
    body = read("text.json").replace(b"end_turn", reason.encode())
    with pytest.raises(GatewayError) as raised:
        completion_of(body, CALL)
    assert raised.value.http_status == 502
    with pytest.raises(GatewayError):
        list(translated(event("messageStop", stopReason=reason)))


def test_old_clients_are_told_of_one_function() -> None:
    """Those that sent functions read function_call, whole and streamed."""
    call = chat_call(functions=[{"name": "weather"}])
    whole = completion_of(read("tools.json"), call).choices[0]
    joined = assemble(translated(b"".join(frames_of("tools")), call=call)).choices[0]
    for choice in (whole, joined):
        assert choice.finish_reason == "function_call"
        assert choice.message.function_call.name == "weather"
        assert json.loads(choice.message.function_call.arguments)["city"] == "Oslo"
        assert not choice.message.tool_calls


def test_large_frames_are_not_copied_with_each_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come of one is put together once."""
    frames = Frames(1 << 24)
    fed: list[int] = []
    monkeypatch.setattr(frames._buffer, "add_data", _noting(fed, frames._buffer.add_data))
    large = says("x" * 1_000_000)
    found = [one for piece in pieces(large + says("y") * 3, 16_384) for one in frames.feed(piece)]
    assert len(found) == 4
    assert len(fed) <= 3
    assert not frames.close()[0].name


def _noting(fed: list[int], add: Any) -> Any:
    def noting(data: bytes) -> None:
        fed.append(len(data))
        add(data)

    return noting


def test_a_frame_over_the_limit_is_a_failure() -> None:
    """As soon as its length is known."""
    (damaged,) = Frames(1000).feed(says("x" * 2000)[:20])
    assert damaged.kind == "damaged"


def test_any_tier_and_the_speed_that_served_are_told() -> None:
    """Whole, and at the end of a stream."""
    own = {"serviceTier": {"type": "reserved"}, "performanceConfig": {"latency": "optimized"}}
    body = {"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, **own}
    whole = json.loads(render_completion(completion_of(json.dumps(body).encode(), CALL)))
    assert (whole["service_tier"], whole["native_service_tier"]) == ("default", "reserved")
    assert whole["performanceConfig"] == {"latency": "optimized"}
    wire = says("a") + event("messageStop", stopReason="end_turn") + event("metadata", **own)
    chunks = [chunk for message in translated(wire) for chunk in message.chunks]
    assert json.loads(chunks[-1].extra_json) == {"performanceConfig": own["performanceConfig"]} | {
        "serviceTier": own["serviceTier"]
    }
