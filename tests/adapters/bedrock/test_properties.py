"""What holds for every request and every answer, whatever is in it."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.testing.assemble import assemble
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from portico_adapters.bedrock.chat_answer import completion_of
from portico_adapters.bedrock.chat_request import chat_body
from portico_adapters.bedrock.chat_stream import ChatStream
from portico_adapters.bedrock.errors import error_of
from portico_adapters.bedrock.frames import Frames
from tests.adapters.bedrock.fixtures import CALL, MODEL, event, exception, frame
from tests.proto.openai.strategies import JSON, anything, requests

brief = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
thorough = settings(deadline=None, max_examples=20_000, suppress_health_check=list(HealthCheck))

texts = st.text(max_size=6)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])
unknown: JSON = st.dictionaries(st.sampled_from(["x", "Text", "p", "", "type"]), anything, max_size=2)
reasons = st.sampled_from(
    ["end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened", "new"]
)
counts: JSON = st.fixed_dictionaries(
    {"inputTokens": st.integers(0, 1000), "outputTokens": st.integers(0, 1000)},
    optional={"cacheReadInputTokens": st.integers(0, 9), "cacheWriteInputTokens": st.integers(0, 9)},
)

#: Blocks of whole answers: (member, value).
blocks: JSON = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(
        st.just("toolUse"),
        st.fixed_dictionaries({"toolUseId": texts, "name": texts, "input": st.dictionaries(texts, anything)}),
    ),
    st.tuples(st.just("thought"), st.tuples(texts, texts)),
)


def whole_block(block: tuple[str, Any]) -> dict[str, Any]:
    kind, value = block
    if kind == "thought":
        return {"reasoningContent": {"reasoningText": {"text": value[0], "signature": value[1]}}}
    return {kind: value}


def frames_of(index: int, block: tuple[str, Any], cut: int, more: dict[str, Any]) -> list[bytes]:
    """Return the frames of a block, its text in two pieces."""

    def delta(**members: Any) -> bytes:
        return event("contentBlockDelta", contentBlockIndex=index, delta=members, **more)

    kind, value = block
    if kind == "toolUse":
        start = {"toolUse": {name: value[name] for name in ("toolUseId", "name")}}
        text = json.dumps(value["input"])
        begun = event("contentBlockStart", contentBlockIndex=index, start=start)
        made = [begun, delta(toolUse={"input": text[:cut]}), delta(toolUse={"input": text[cut:]})]
    elif kind == "thought":
        text, signature = value
        pieces = [{"text": text[:cut]}, {"text": text[cut:]}, {"signature": signature}]
        made = [delta(reasoningContent=piece) for piece in pieces]
    else:
        made = [delta(text=value[:cut]), delta(text=value[cut:])]
    return [*made, event("contentBlockStop", contentBlockIndex=index)]


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Any], str, dict[str, Any], bytes]:
    """Return blocks, the reason of the end, the counts, and the stream that tells all that."""
    said = draw(st.lists(blocks, max_size=4))
    reason, usage, more = draw(reasons), draw(counts), draw(unknown)
    wire = [event("messageStart", role="assistant")]
    for index, block in enumerate(said):
        wire += frames_of(index, block, draw(st.integers(0, 6)), {"p": "abc", **more})
    end = [event("messageStop", stopReason=reason), event("metadata", usage=usage, metrics={"latencyMs": 1})]
    wire += draw(st.permutations(end))
    if draw(st.booleans()):
        wire.insert(draw(st.integers(0, len(wire) - 2)), event("somethingNew", **more))
    return said, reason, usage, b"".join(wire)


def outcome(wire: bytes, cuts: list[int]) -> Any:
    """Return the chunks and the answer or the error of a stream that arrives cut at these places."""
    translation = Translation(StreamResponse, Frames(1 << 20), ChatStream(CALL))
    messages: list[StreamResponse] = []
    try:
        for start, end in itertools.pairwise([0, *sorted(cuts), len(wire)]):
            messages.extend(translation.feed(wire[start:end]))
        messages.extend(translation.close())
    except GatewayError as error:
        return chunks_of(messages), error.error_class
    found = assemble(messages)
    found.ClearField("created")
    return chunks_of(messages), found


def chunks_of(messages: list[StreamResponse]) -> list[Any]:
    return [chunk for message in messages for chunk in message.chunks]


def a_request_is_translated_or_refused_by_name(request: dict[str, Any], role: str) -> None:
    for message in request["messages"]:
        message["role"] = role
    params, _ = parse_chat(json.dumps(request).encode())
    made = made_or_error(chat_body, UpstreamCall(params, MODEL))
    if isinstance(made, GatewayError):
        assert made.error_class is ErrorClass.CALLER
        assert made.param
        return
    turns = [turn["role"] for turn in json.loads(made)["messages"]]
    assert all(one != following for one, following in itertools.pairwise(turns))


def made_or_error(make: Any, *given: Any) -> Any:
    """Return what ``make`` makes, or the error that it raises."""
    try:
        return make(*given)
    except GatewayError as error:
        return error


def a_stream_says_what_the_whole_answer_says(answer: Any, data: st.DataObject) -> None:
    said, reason, usage, wire = answer
    content = [whole_block(block) for block in said]
    message = {"role": "assistant", "content": content}
    body = json.dumps({"output": {"message": message}, "stopReason": reason, "usage": usage}).encode()
    whole = completion_of(body, CALL)
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=20))
    _, joined = outcome(wire, cuts)
    (one,), (other,) = whole.choices, joined.choices
    assert other.finish_reason == one.finish_reason
    assert other.message.content == one.message.content
    assert other.message.reasoning_content == one.message.reasoning_content
    assert joined.usage == whole.usage
    calls = [[(call.id, call.function.name) for call in each.message.tool_calls] for each in (one, other)]
    assert calls[0] == calls[1]
    arguments = [
        [json.loads(call.function.arguments) for call in each.message.tool_calls] for each in (one, other)
    ]
    assert arguments[0] == arguments[1] == [value["input"] for kind, value in said if kind == "toolUse"]
    prompt = (
        usage["inputTokens"] + usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    )
    assert joined.usage.prompt_tokens == prompt


def a_damaged_stream_is_the_right_answer_or_an_error(answer: Any, data: st.DataObject) -> None:
    wire = answer[3]
    damaged = bytearray(wire[: data.draw(st.integers(0, len(wire)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=2)):
        if damaged:
            damaged[place] = data.draw(st.integers(0, 255))
    whole = outcome(bytes(damaged), [])
    cuts = data.draw(st.lists(st.integers(0, len(damaged)), max_size=20))
    assert outcome(bytes(damaged), cuts) == whole
    assert whole[1] is ErrorClass.UPSTREAM or whole[1].choices[0].finish_reason


kinds = st.sampled_from(
    [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        "x",
    ]
)
members: JSON = st.dictionaries(
    st.sampled_from(["contentBlockIndex", "start", "delta", "stopReason", "usage", "trace", "serviceTier"]),
    anything
    | st.dictionaries(
        st.sampled_from(["text", "toolUse", "toolResult", "reasoningContent", "citation", "inputTokens"]),
        anything | st.dictionaries(st.sampled_from(["input", "text", "redactedContent", "type"]), anything),
    ),
)
any_frames: JSON = st.one_of(
    st.builds(lambda kind, payload: event(kind, **payload), kinds, members),
    st.builds(lambda kind, payload: frame(payload, **{"event-type": kind}), kinds, anything),
    st.builds(exception, texts, texts),
    st.builds(lambda value: frame(b"{", **{"message-type": value}), texts),
)


def frames_of_any_json_are_answers_or_errors(frames: list[bytes]) -> None:
    _, result = outcome(b"".join(frames), [])
    assert isinstance(result, ErrorClass) or result.choices[0].finish_reason


_NAMES = (
    *(
        "output",
        "message",
        "content",
        "text",
        "toolUse",
        "reasoningContent",
        "citationsContent",
        "stopReason",
    ),
    *("usage", "inputTokens", "trace", "citations", "location", "web", "input", "name"),
)
any_answers: JSON = st.recursive(
    anything,
    lambda inner: st.dictionaries(
        st.sampled_from(_NAMES),
        inner | st.lists(inner, max_size=2),
    ),
    max_leaves=8,
)


def answers_of_any_json_are_answers_or_errors(answer: Any) -> None:
    body = json.dumps(answer).encode()
    error_of(500, body, (), callers_key=False)
    made = made_or_error(completion_of, body, CALL)
    if isinstance(made, GatewayError):
        assert made.error_class is ErrorClass.UPSTREAM
    else:
        assert made.choices[0].finish_reason


def bytes_of_any_kind_are_answers_or_errors(wire: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=5))
    assert outcome(wire, cuts) == outcome(wire, [])


#: What holds, and for what.
HOLDS: dict[Any, tuple[Any, ...]] = {
    a_request_is_translated_or_refused_by_name: (requests, roles),
    a_stream_says_what_the_whole_answer_says: (answers(), st.data()),
    a_damaged_stream_is_the_right_answer_or_an_error: (answers(), st.data()),
    frames_of_any_json_are_answers_or_errors: (st.lists(any_frames, max_size=6),),
    answers_of_any_json_are_answers_or_errors: (any_answers,),
    bytes_of_any_kind_are_answers_or_errors: (st.binary(max_size=80), st.data()),
}


@pytest.mark.parametrize("holds", HOLDS, ids=lambda holds: holds.__name__)
def test_it_holds(holds: Any) -> None:
    """For some examples."""
    examples: Any = given(*HOLDS[holds])
    brief(examples(holds))()


@pytest.mark.nightly
@pytest.mark.parametrize("holds", HOLDS, ids=lambda holds: holds.__name__)
def test_it_holds_for_many(holds: Any) -> None:
    """For 20,000 examples each."""
    examples: Any = given(*HOLDS[holds])
    thorough(examples(holds))()
