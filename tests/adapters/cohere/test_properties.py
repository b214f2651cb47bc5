"""What holds for every request and every answer, whatever is in it."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.testing.assemble import assemble
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters.cohere.chat_answer import completion_of
from portico_adapters.cohere.chat_request import chat_body
from tests.adapters.cohere.fixtures import CALL, MODEL, events, translated
from tests.proto.openai.strategies import JSON, anything, requests
from tests.support.fuzz import cuts, damaged, fuzz, shuffled
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

T = TypeVar("T")

TYPES = (
    *("message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "citation-start"),
    *("tool-call-start", "tool-call-delta", "tool-call-end", "citation-end", "message-end", "debug", "new"),
)
texts = st.text(max_size=6)
unknown: JSON = st.dictionaries(st.sampled_from(["x", "Type", "mood", ""]), anything, max_size=2)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])


@st.composite
def told(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw an answer: whole, and the stream that says the same, with members nobody knows."""
    thinking, text, plan = draw(st.lists(texts, max_size=2)), draw(st.lists(texts, max_size=3)), draw(texts)
    calls = draw(st.lists(st.tuples(texts, st.lists(texts, max_size=3)), max_size=2))
    reason = draw(st.sampled_from(["COMPLETE", "MAX_TOKENS", "STOP_SEQUENCE", "TOOL_CALL"]))
    usage = {"tokens": {"input_tokens": draw(st.integers(0, 99)), "output_tokens": draw(st.integers(0, 99))}}

    def call(at: int, name: str, arguments: str) -> dict[str, Any]:
        return {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": arguments}}

    def delta(kind: str, message: Any, index: int = 0) -> dict[str, Any]:
        return {"type": kind, "index": index, "delta": {"message": message}}

    stream: list[Any] = [{"type": "message-start", "id": "id-1", "delta": {"message": {"content": []}}}]
    stream += [delta("content-delta", {"content": {"thinking": piece}}) for piece in thinking]
    stream += [delta("content-delta", {"content": {"text": piece}}, 1) for piece in text]
    stream += [delta("tool-plan-delta", {"tool_plan": plan})]
    for at, (name, pieces) in enumerate(calls):
        stream.append(delta("tool-call-start", {"tool_calls": call(at, name, "")}, at))
        stream += [
            delta("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, at)
            for piece in pieces
        ]
        stream.append({"type": "tool-call-end", "index": at})
    stream.append({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}})
    message = {
        "content": [
            {"type": "thinking", "thinking": "".join(thinking)},
            {"type": "text", "text": "".join(text)},
        ],
        "tool_plan": plan,
        "tool_calls": [call(at, name, "".join(pieces)) for at, (name, pieces) in enumerate(calls)],
    }
    whole = {"id": "id-1", "message": message, "finish_reason": reason, "usage": usage}
    order = draw(st.randoms(use_true_random=False))
    wire = events(*(shuffled(each | draw(unknown), order) for each in stream))
    return json.dumps(shuffled(whole | draw(unknown), order)).encode(), wire


def failing(make: Callable[[], T]) -> T | GatewayError:
    """Return what is made, or the error."""
    try:
        return make()
    except GatewayError as error:
        return error


def outcome(wire: bytes, places: Sequence[int] = ()) -> Any:
    """Return the chunks and the error, if any, of a stream that arrives cut at these places."""
    messages: list[StreamResponse] = []
    error = None
    try:
        messages.extend(translated(wire, places))
    except GatewayError as failed:
        error = failed.error_class, failed.http_status
    return [chunk for message in messages for chunk in message.chunks], error


@fuzz(requests, roles)
def test_a_request_is_translated_or_refused(request: dict[str, Any], role: str) -> None:
    """A body that is JSON and for the right model, or 400 that names a member."""
    for message in request["messages"]:
        message["role"] = role
    params, stream = parse_chat(json.dumps(request).encode())
    body = failing(lambda: chat_body(UpstreamCall(params, MODEL), stream=stream))
    if isinstance(body, GatewayError):
        assert (body.error_class, body.http_status) == (ErrorClass.CALLER, 400)
        assert body.param
        return
    sent = json.loads(body)
    assert (sent["model"], sent["stream"]) == (MODEL, stream)
    assert len(sent["messages"]) == len(request["messages"])


@fuzz(told(), st.data())
def test_a_stream_says_what_the_whole_answer_says(both: tuple[bytes, bytes], data: st.DataObject) -> None:
    """Wherever reads end, whatever members are new and in whatever order they come."""
    body, wire = both
    streamed, whole = assemble(translated(wire, cuts(data, wire))), completion_of(body, CALL)
    (found,), (expected,) = streamed.choices, whole.choices
    assert found.message.content == expected.message.content
    assert found.message.reasoning_content == expected.message.reasoning_content
    assert found.finish_reason == expected.finish_reason
    assert streamed.usage == whole.usage
    assert [(call.id, call.function) for call in found.message.tool_calls] == [
        (call.id, call.function) for call in expected.message.tool_calls
    ]
    chunks, _ = outcome(wire)
    assert of_chunks(chunks) == as_the_sdk_reads(whole)


@fuzz(told(), st.data())
def test_a_damaged_stream_is_an_answer_or_an_error(both: tuple[bytes, bytes], data: st.DataObject) -> None:
    """Cut off, with bytes changed, in any pieces: never a crash, and the same however it is cut."""
    spoilt = damaged(data, both[1])
    chunks, error = outcome(spoilt)
    assert outcome(spoilt, cuts(data, spoilt)) == (chunks, error)
    assert error is not None or chunks[-1].choices[0].finish_reason


any_message: JSON = st.dictionaries(
    st.sampled_from(["content", "tool_plan", "tool_calls", "citations"]),
    anything | st.dictionaries(st.sampled_from(["text", "thinking", "id", "function"]), anything),
)
any_parts: JSON = st.fixed_dictionaries(
    {},
    optional={
        "message": anything | any_message,
        "finish_reason": anything,
        "usage": anything,
        "error": anything,
    },
)
any_event: JSON = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={"index": anything, "delta": anything | any_parts, "logprobs": anything, "id": anything},
)


@fuzz(st.lists(anything | any_event, max_size=5), anything | any_parts)
def test_events_of_any_json_are_answers_or_errors(stream: list[Any], body: Any) -> None:
    """In any order, of known and unknown types; and whole answers of any JSON."""
    chunks, error = outcome(events(*stream))
    assert error is not None or chunks[-1].choices[0].finish_reason
    whole = failing(lambda: completion_of(json.dumps(body).encode(), CALL))
    if isinstance(whole, GatewayError):
        assert whole.error_class is ErrorClass.UPSTREAM
    else:
        assert whole.choices[0].finish_reason
