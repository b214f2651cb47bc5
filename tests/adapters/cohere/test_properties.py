"""What holds for every request and every answer, whatever is in it."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
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

T = TypeVar("T")
Check = Callable[[], None]
#: Settings of hypothesis, which a property is run with.
Run = Callable[[Check], Check]

TYPES = (
    *("message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "citation-start"),
    *("tool-call-start", "tool-call-delta", "tool-call-end", "citation-end", "message-end", "debug", "new"),
)
texts = st.text(max_size=6)
unknown: JSON = st.dictionaries(st.sampled_from(["x", "Type", "mood", ""]), anything, max_size=2)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])


def examples(count: int) -> Run:
    return settings(deadline=None, max_examples=count, suppress_health_check=list(HealthCheck))


#: A property in its short and its long form.
few, many = examples(50), examples(20_000)


def shuffled(value: Any, order: Any) -> Any:
    """Return the same JSON with the members of its objects in another order."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda _: order.random())
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(each, order) for each in value] if isinstance(value, list) else value


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


def outcome(wire: bytes, cuts: Sequence[int] = ()) -> Any:
    """Return the chunks and the error, if any, of a stream that arrives cut at these places."""
    messages: list[StreamResponse] = []
    error = None
    try:
        messages.extend(translated(wire, cuts))
    except GatewayError as failed:
        error = failed.error_class, failed.http_status
    return [chunk for message in messages for chunk in message.chunks], error


def a_request_is_translated_or_refused(run: Run) -> Check:
    """A body that is JSON and for the right model, or 400 that names a member."""

    @run
    @given(requests, roles)
    def check(request: dict[str, Any], role: str) -> None:
        for message in request["messages"]:
            message["role"] = role
        params, stream = parse_chat(json.dumps(request).encode())
        body = failing(lambda: chat_body(UpstreamCall(params, MODEL), stream=stream))
        if isinstance(body, GatewayError):
            assert (body.error_class, body.http_status) == (ErrorClass.CALLER, 400)
            assert body.param
            return
        sent = json.loads(body)
        assert (sent["model"], sent["stream"], len(sent["messages"])) == (
            MODEL,
            stream,
            len(request["messages"]),
        )

    return check


def a_stream_says_what_the_whole_answer_says(run: Run) -> Check:
    """Wherever reads end, whatever members are new and in whatever order they come."""

    @run
    @given(told(), st.data())
    def check(both: tuple[bytes, bytes], data: st.DataObject) -> None:
        body, wire = both
        cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=8))
        streamed, whole = assemble(translated(wire, cuts)), completion_of(body, CALL)
        (found,), (expected,) = streamed.choices, whole.choices
        assert found.message.content == expected.message.content
        assert found.message.reasoning_content == expected.message.reasoning_content
        assert found.finish_reason == expected.finish_reason
        assert streamed.usage == whole.usage
        assert [(call.id, call.function) for call in found.message.tool_calls] == [
            (call.id, call.function) for call in expected.message.tool_calls
        ]

    return check


def a_damaged_stream_is_an_answer_or_an_error(run: Run) -> Check:
    """Cut off, with bytes changed, in any pieces: never a crash, and the same however it is cut."""

    @run
    @given(told(), st.data())
    def check(both: tuple[bytes, bytes], data: st.DataObject) -> None:
        damaged = bytearray(both[1][: data.draw(st.integers(0, len(both[1])))])
        for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=3)):
            if damaged:
                damaged[place] = data.draw(st.sampled_from(b'\n"{}[],:\\\x00\xff1e'))
        cuts = data.draw(st.lists(st.integers(0, len(damaged)), max_size=8))
        chunks, error = outcome(bytes(damaged))
        assert outcome(bytes(damaged), cuts) == (chunks, error)
        assert error is not None or chunks[-1].choices[0].finish_reason

    return check


def events_of_any_json_are_answers_or_errors(run: Run) -> Check:
    """In any order, of known and unknown types; and whole answers of any JSON."""
    message: JSON = st.dictionaries(
        st.sampled_from(["content", "tool_plan", "tool_calls", "citations"]),
        anything | st.dictionaries(st.sampled_from(["text", "thinking", "id", "function"]), anything),
    )
    parts: JSON = st.fixed_dictionaries(
        {},
        optional={
            "message": anything | message,
            "finish_reason": anything,
            "usage": anything,
            "error": anything,
        },
    )
    event: JSON = st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES)},
        optional={"index": anything, "delta": anything | parts, "logprobs": anything, "id": anything},
    )

    @run
    @given(st.lists(anything | event, max_size=5), anything | parts)
    def check(stream: list[Any], body: Any) -> None:
        chunks, error = outcome(events(*stream))
        assert error is not None or chunks[-1].choices[0].finish_reason
        whole = failing(lambda: completion_of(json.dumps(body).encode(), CALL))
        if isinstance(whole, GatewayError):
            assert whole.error_class is ErrorClass.UPSTREAM
        else:
            assert whole.choices[0].finish_reason

    return check


PROPERTIES = (
    a_request_is_translated_or_refused,
    a_stream_says_what_the_whole_answer_says,
    a_damaged_stream_is_an_answer_or_an_error,
    events_of_any_json_are_answers_or_errors,
)
for_each_property = pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)


@for_each_property
def test_it_holds(holds: Callable[[Run], Check]) -> None:
    """For a few examples."""
    holds(few)()


@pytest.mark.nightly
@for_each_property
def test_it_holds_for_many(holds: Callable[[Run], Check]) -> None:
    """For 20,000."""
    holds(many)()
