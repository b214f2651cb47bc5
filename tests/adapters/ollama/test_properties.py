"""What holds for every request and every answer, whatever is in it."""

import json
from random import Random
from typing import Any

from hypothesis import strategies as st

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._ndjson import NdjsonParser
from portico_adapters._translation import Translation
from portico_adapters.ollama.chat_answer import ChatStream, completion_of
from portico_adapters.ollama.chat_request import chat_body
from tests.adapters.ollama.fixtures import CALL, MODEL, settings_for
from tests.adapters.outcomes import outcome_of
from tests.proto.openai.strategies import JSON, anything, requests
from tests.support.fuzz import cuts, damaged, fuzz, shuffled
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
texts = st.text(max_size=6)
unknown: JSON = st.dictionaries(
    st.sampled_from(["x", "Done", "images", "_debug_info", ""]), anything, max_size=2
)
arguments: JSON = st.dictionaries(texts, anything, max_size=3)
TIME = "2025-05-10T15:06:48.639712648Z"


@fuzz(requests, roles)
def test_a_request_is_translated_or_refused_by_name(request: dict[str, Any], role: str) -> None:
    """A body that is JSON and for the right model, or 400 that names a member."""
    for message in request["messages"]:
        message["role"] = role
    params, stream = parse_chat(json.dumps(request).encode())
    body = body_or_error(UpstreamCall(params, MODEL), stream)
    if isinstance(body, GatewayError):
        assert body.http_status == 400
        assert body.param
        return
    sent = json.loads(body)
    assert (sent["model"], sent["stream"]) == (MODEL, False)
    assert [message["role"] for message in sent["messages"]] == [
        "system" if role == "developer" else role for _ in request["messages"]
    ]


def body_or_error(call: UpstreamCall, stream: bool) -> bytes | GatewayError:
    try:
        return chat_body(call, settings_for(), stream=stream)
    except GatewayError as error:
        return error


calls: JSON = st.builds(
    lambda name, given, more: {"id": f"call_{name}", "function": {"name": name, "arguments": given} | more},
    texts,
    arguments,
    unknown.map(lambda members: {"index": 0} | members),
)
said: JSON = st.builds(
    lambda message, more: message | more,
    st.fixed_dictionaries(
        {"content": texts}, optional={"thinking": texts, "tool_calls": st.lists(calls, max_size=2)}
    ),
    unknown,
)
ends: JSON = st.fixed_dictionaries(
    {"done": st.just(True)},
    optional={
        "done_reason": st.sampled_from(["stop", "length", None]),
        "prompt_eval_count": st.integers(0, 1000),
        "eval_count": st.integers(0, 1000),
    },
)


def lines_of(
    pieces: list[dict[str, Any]], end: dict[str, Any], more: dict[str, Any], order: Random | None = None
) -> bytes:
    lines = [{"created_at": TIME, "message": piece, "done": False} for piece in pieces]
    lines.append({"created_at": TIME, "message": {"content": ""}} | end)
    told = [line | more for line in lines]
    if order:
        told = shuffled(told, order)
    return b"".join(json.dumps(line).encode() + b"\n" for line in told)


def outcome(wire: bytes, places: list[int]) -> Any:
    """Return the chunks and the answer, or the class of the error, of a stream cut at these places."""
    return outcome_of(Translation(StreamResponse, NdjsonParser(1 << 20), ChatStream(CALL)), wire, places)


streams = st.builds(lines_of, st.lists(said, max_size=4), ends, unknown)


@fuzz(st.lists(said, max_size=4), ends, unknown, st.data())
def test_a_stream_arrives_whole_and_exactly(
    pieces: list[dict[str, Any]], end: dict[str, Any], more: dict[str, Any], data: st.DataObject
) -> None:
    """Wherever reads end, and whatever members are new; arguments mean what they meant."""
    wire = lines_of(pieces, end, more, data.draw(st.randoms(use_true_random=False)))
    _, completion = outcome(wire, cuts(data, wire))
    (choice,) = completion.choices
    made = [call["function"] for piece in pieces for call in piece.get("tool_calls", ())]
    assert choice.message.content == "".join(piece["content"] for piece in pieces)
    assert choice.message.reasoning_content == "".join(piece.get("thinking", "") for piece in pieces)
    assert [
        {"name": call.function.name, "arguments": json.loads(call.function.arguments)}
        for call in choice.message.tool_calls
    ] == [{"name": call["name"], "arguments": call["arguments"]} for call in made]
    assert [call.index for call in choice.message.tool_calls] == list(range(len(made)))
    reason = end.get("done_reason") or "stop"
    assert choice.finish_reason == ("tool_calls" if made and reason == "stop" else reason)
    assert completion.usage.total_tokens == end.get("prompt_eval_count", 0) + end.get("eval_count", 0)


@fuzz(said, ends, unknown)
def test_a_whole_answer_says_what_its_stream_says(
    message: dict[str, Any], end: dict[str, Any], more: dict[str, Any]
) -> None:
    """One translation serves both."""
    whole = completion_of(json.dumps({"created_at": TIME, "message": message} | end | more).encode(), CALL)
    chunks, joined = outcome(lines_of([message], end, more), [])
    assert of_chunks(chunks) == as_the_sdk_reads(whole)
    for number, call in enumerate(whole.choices[0].message.tool_calls):
        call.index = number
    # The text of an answer without a word is empty; a stream need not say so.
    if not whole.choices[0].message.content:
        whole.choices[0].message.ClearField("content")
    joined.object = whole.object
    assert joined == whole


@fuzz(streams, st.data())
def test_a_damaged_stream_is_the_right_answer_or_an_error(wire: bytes, data: st.DataObject) -> None:
    """Cut off, with bytes changed, in any pieces: never a crash, and the same however it is cut."""
    spoilt = damaged(data, wire)
    whole = outcome(spoilt, [])
    assert outcome(spoilt, cuts(data, spoilt)) == whole
    assert whole[1] is ErrorClass.UPSTREAM or whole[1].choices[0].finish_reason


@fuzz(
    st.lists(anything | st.dictionaries(st.sampled_from(["message", "done", "error", "logprobs"]), anything))
)
def test_lines_of_any_json_are_answers_or_errors(lines: list[Any]) -> None:
    """A server of another kind does not crash the gateway; its errors keep their class."""
    wire = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    _, result = outcome(wire, [])
    assert isinstance(result, ErrorClass) or result.choices[0].finish_reason
