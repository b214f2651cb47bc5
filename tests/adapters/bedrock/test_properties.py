"""What holds for every request and every answer, whatever is in it."""

import itertools
import json
from typing import Any

from hypothesis import strategies as st

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from portico_adapters.bedrock.chat_answer import completion_of
from portico_adapters.bedrock.chat_request import chat_body
from portico_adapters.bedrock.chat_stream import ChatStream
from portico_adapters.bedrock.errors import error_of
from portico_adapters.bedrock.frames import Frames
from tests.adapters.bedrock.fixtures import CALL, MODEL, event, exception, frame
from tests.adapters.outcomes import outcome_of
from tests.proto.openai.strategies import JSON, anything, requests
from tests.support.fuzz import cuts, damaged, fuzz
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

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


def outcome(wire: bytes, places: list[int]) -> Any:
    """Return the chunks and the answer, or the class of the error, of a stream cut at these places."""
    translation = Translation(StreamResponse, Frames(1 << 20), ChatStream(CALL))
    chunks, found = outcome_of(translation, wire, places)
    if isinstance(found, ChatCompletion):
        # Of the clock.
        found.ClearField("created")
    return chunks, found


@fuzz(requests, roles)
def test_a_request_is_translated_or_refused_by_name(request: dict[str, Any], role: str) -> None:
    """A body whose sides take turns, or 400 that names a member."""
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


@fuzz(answers(), st.data())
def test_a_stream_says_what_the_whole_answer_says(answer: Any, data: st.DataObject) -> None:
    """Wherever reads end, whatever members and events are new."""
    said, reason, usage, wire = answer
    content = [whole_block(block) for block in said]
    message = {"role": "assistant", "content": content}
    body = json.dumps({"output": {"message": message}, "stopReason": reason, "usage": usage}).encode()
    whole = completion_of(body, CALL)
    chunks, joined = outcome(wire, cuts(data, wire))
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
    if ("thought", ("", "")) not in said:
        # Of a thought without a word a stream says nothing.
        assert of_chunks(chunks) == as_the_sdk_reads(whole)


@fuzz(answers(), st.data())
def test_a_damaged_stream_is_the_right_answer_or_an_error(answer: Any, data: st.DataObject) -> None:
    """Cut off, with bytes changed, in any pieces: never a crash, and the same however it is cut."""
    wire = answer[3]
    spoilt = damaged(data, wire, bytes(range(256)))
    whole = outcome(spoilt, [])
    assert outcome(spoilt, cuts(data, spoilt)) == whole
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


@fuzz(st.lists(any_frames, max_size=6))
def test_frames_of_any_json_are_answers_or_errors(frames: list[bytes]) -> None:
    """A server of another kind does not crash the gateway."""
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


@fuzz(any_answers)
def test_answers_of_any_json_are_answers_or_errors(answer: Any) -> None:
    """Whole ones, and errors."""
    body = json.dumps(answer).encode()
    error_of(500, body, (), callers_key=False)
    made = made_or_error(completion_of, body, CALL)
    if isinstance(made, GatewayError):
        assert made.error_class is ErrorClass.UPSTREAM
    else:
        assert made.choices[0].finish_reason


@fuzz(st.binary(max_size=80), st.data())
def test_bytes_of_any_kind_are_answers_or_errors(wire: bytes, data: st.DataObject) -> None:
    """The same however they are cut."""
    assert outcome(wire, cuts(data, wire)) == outcome(wire, [])
