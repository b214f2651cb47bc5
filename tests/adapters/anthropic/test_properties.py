"""What holds for every request and every answer, whatever is in it."""

import itertools
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from anthropic.types import MessageCreateParams
from hypothesis import strategies as st
from pydantic import TypeAdapter

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters.anthropic.chat_answer import completion_of
from portico_adapters.anthropic.chat_request import chat_body
from portico_adapters.anthropic.chat_stream import ChatStream
from portico_adapters.anthropic.errors import error_of
from portico_adapters.anthropic.models import models_of
from tests.adapters.anthropic.fixtures import CALL, settings_for
from tests.adapters.outcomes import outcome_of
from tests.proto.openai.strategies import JSON, anything, requests
from tests.support.fuzz import cuts, damaged, fuzz
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

models = st.sampled_from(
    ["claude-3-haiku-20240307", "claude-sonnet-4-5", "claude-opus-4-6", "claude-fable-5", "x"]
)
texts = st.text(max_size=6)
words = st.text("abc \n", max_size=4)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])

# ---- requests


def body_or_error(call: UpstreamCall, stream: bool) -> Any:
    try:
        return json.loads(chat_body(call, settings_for(), stream=stream))
    except GatewayError as error:
        return error


@fuzz(requests, roles, models, st.booleans())
def test_a_request_is_translated_or_refused_by_name(request: Any, role: str, model: str, drop: bool) -> None:
    """A body for the right model, or 400 that names a member."""
    for message in request["messages"]:
        message["role"] = role
    params, stream = parse_chat(json.dumps(request).encode())
    call = UpstreamCall(params, model, drop_unsupported=drop)
    body = body_or_error(call, stream)
    if isinstance(body, GatewayError):
        assert (body.error_class, body.http_status) == (ErrorClass.CALLER, 400)
        assert body.param
        return
    assert (body["model"], body.get("stream", False)) == (model, stream)
    assert body["max_tokens"] > 0


arguments = st.dictionaries(st.text(max_size=3), anything, max_size=2)
details: JSON = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["reasoning.text", "reasoning.encrypted", "reasoning.summary"]),
            "format": st.sampled_from(["anthropic-claude-v1", "other-v1"]),
        },
        optional={
            "text": texts,
            "signature": texts | st.none(),
            "data": texts,
            "index": st.integers(0, 3) | st.none(),
        },
    ),
    max_size=3,
)
calls: JSON = st.builds(
    lambda id_, given: {
        "id": id_,
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps(given)},
    },
    texts.filter(bool),
    arguments,
)
said: JSON = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": words}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": words | st.none()},
        optional={
            "tool_calls": st.lists(calls, max_size=2),
            "reasoning_content": words,
            "reasoning_details": details,
        },
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": texts.filter(bool), "content": words}),
)
wishes: JSON = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "reasoning_effort": st.sampled_from(["none", "low", "high", "max"]),
        "max_completion_tokens": st.integers(1, 5000),
        "tools": st.just([{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "stop": words | st.lists(words, max_size=2),
    },
)
_TYPES: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)


@fuzz(st.lists(said, min_size=1, max_size=6), wishes, models)
def test_a_conversation_keeps_the_apis_rules(messages: list[Any], wished: Any, model: str) -> None:
    """Sides take turns, results come first, no text is empty, budgets fit; the SDK's types accept it."""
    request = {"model": "m", "messages": messages, **wished}
    params, stream = parse_chat(json.dumps(request).encode())
    body = body_or_error(UpstreamCall(params, model, drop_unsupported=True), stream)
    if isinstance(body, GatewayError):
        assert body.param
        return
    _TYPES.validate_python(body)
    turns = body["messages"]
    sides = [turn["role"] for turn in turns]
    assert all(one != other for one, other in itertools.pairwise(sides))
    for turn in turns:
        blocks = (
            turn["content"]
            if isinstance(turn["content"], list)
            else [{"type": "text", "text": turn["content"]}]
        )
        assert blocks
        kinds = [block["type"] == "tool_result" for block in blocks]
        assert kinds == sorted(kinds, reverse=True)
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
    thinking = body.get("thinking", {})
    assert thinking.get("budget_tokens", 0) < body["max_tokens"]
    if thinking.get("type") in ("enabled", "adaptive"):
        assert body.get("temperature", 1) == 1
        assert body.get("tool_choice", {}).get("type") not in ("any", "tool")
    results = sum(message["role"] == "tool" for message in messages)
    sent = [block for turn in turns if isinstance(turn["content"], list) for block in turn["content"]]
    assert sum(block["type"] == "tool_result" for block in sent) == results


@fuzz(anything, st.sampled_from(["reasoning_details", "content_blocks", "cache_control"]))
def test_carried_members_of_any_form_are_taken_or_refused(value: Any, name: str) -> None:
    """By name: what comes back need not be what was sent."""
    message = {"role": "assistant", "content": "x", name: value}
    params, _ = parse_chat(json.dumps({"model": "m", "messages": [message]}).encode())
    body = body_or_error(UpstreamCall(params, "claude-x"), False)
    assert body["messages"] if isinstance(body, dict) else name in (body.param or "")


# ---- answers

unknown: JSON = st.dictionaries(st.sampled_from(["x", "Type", "_debug", "citation"]), anything, max_size=1)
blocks: JSON = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": texts}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": texts, "name": texts, "input": arguments}),
    st.fixed_dictionaries(
        {"type": st.just("server_tool_use"), "id": texts, "name": texts, "input": arguments}
    ),
    st.fixed_dictionaries({"type": st.just("new_tool_result"), "content": anything}),
)
counts = st.integers(0, 1000)
usages: JSON = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={
        "cache_read_input_tokens": counts | st.none(),
        "cache_creation_input_tokens": counts,
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": counts}),
        "server_tool_use": st.none() | st.just({"web_search_requests": 1}),
    },
)
reasons = st.sampled_from(
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "a_new_one"]
)
answers: JSON = st.builds(
    lambda content, reason, usage, more: {
        **more,
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    },
    st.lists(blocks, max_size=4),
    reasons,
    usages,
    unknown,
)

# The member of a block that comes in pieces -> the type of its pieces, and what they call it.
_PIECES = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "signature": ("signature_delta", "signature"),
    "input": ("input_json_delta", "partial_json"),
}


def events_of(answer: Any, noise: list[Any]) -> list[Any]:
    """Return an answer as the events of a stream, with others between them that nobody knows."""
    start = {**answer, "content": [], "stop_reason": None}
    told: list[Any] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(answer["content"]):
        begun: Any = {
            name: {} if name == "input" else "" if name in _PIECES else value for name, value in block.items()
        }
        told.append({"type": "content_block_start", "index": index, "content_block": begun})
        for name, (kind, piece) in _PIECES.items():
            if name in block:
                text = json.dumps(block[name]) if name == "input" else block[name]
                told += [
                    {"type": "content_block_delta", "index": index, "delta": {"type": kind, piece: part}}
                    for part in (text[:2], text[2:])
                ]
        told.append({"type": "content_block_stop", "index": index})
    end = {name: answer[name] for name in ("stop_reason", "stop_sequence")}
    told += [{"type": "message_delta", "delta": end, "usage": answer["usage"]}, {"type": "message_stop"}]
    for place, event in enumerate(noise):
        told.insert(1 + place * 3 % len(told), event)
    return told


def wire_of(events: list[Any]) -> bytes:
    return b"".join(b"event: e\ndata: %b\n\n" % json.dumps(event).encode() for event in events)


def outcome(wire: bytes, places: list[int]) -> Any:
    """Return the chunks and the answer, or the class of the error, of a stream cut at these places."""
    return outcome_of(Translation(StreamResponse, SseParser(1 << 20), ChatStream(CALL)), wire, places)


noises: JSON = st.lists(
    st.sampled_from(
        [{"type": "ping"}, {"type": "mood", "index": "x", "delta": 4}, {"type": "ping", "usage": []}]
    ),
    max_size=3,
)


@fuzz(answers, noises, st.data())
def test_a_stream_says_what_the_whole_answer_says(answer: Any, noise: list[Any], data: Any) -> None:
    """And both what was said: wherever reads end, whatever members and events are new."""
    whole = completion_of(json.dumps(answer).encode(), CALL)
    wire = wire_of(events_of(answer, noise))
    chunks, joined = outcome(wire, cuts(data, wire))
    (one,), (other,) = whole.choices, joined.choices
    of_kind = {
        kind: [b for b in answer["content"] if b["type"] == kind] for kind in ("text", "thinking", "tool_use")
    }
    for message in (one.message, other.message):
        assert message.content == "".join(block["text"] for block in of_kind["text"])
        assert message.reasoning_content == "".join(block["thinking"] for block in of_kind["thinking"])
        assert [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls] == [
            (b["id"], b["name"], b["input"]) for b in of_kind["tool_use"]
        ]
    assert (one.finish_reason, one.extra_json) == (other.finish_reason, other.extra_json)
    assert whole.usage == joined.usage
    assert of_chunks(chunks) == as_the_sdk_reads(whole)
    carried = [
        json.loads(c.choices[0].delta.extra_json)
        for c in chunks
        if c.choices and c.choices[0].delta.extra_json
    ]
    told = json.loads(one.message.extra_json or "{}")
    assert [detail for each in carried for detail in each.get("reasoning_details", ())] == told.get(
        "reasoning_details", []
    )
    assert next((each["content_blocks"] for each in carried if "content_blocks" in each), None) == told.get(
        "content_blocks"
    )


@fuzz(answers)
def test_what_was_said_can_be_sent_back(answer: Any) -> None:
    """Thinking with its signature, tool calls, and the blocks that OpenAI's shape does not know."""
    message = completion_of(json.dumps(answer).encode(), CALL).choices[0].message
    call = replace(CALL, params=type(CALL.params)(model="m", messages=[message]))
    body = body_or_error(call, False)
    if isinstance(body, GatewayError):
        # Nothing was said, or nothing in words.
        assert body.param == "messages"
        return
    content = body["messages"][0]["content"]
    sent = content if isinstance(content, list) else [{"type": "text", "text": content}]
    thoughts = [block for block in answer["content"] if block["type"] == "thinking" and block["signature"]]
    assert [block for block in sent if block["type"] == "thinking" and block["signature"]] == thoughts
    uses = [block["input"] for block in answer["content"] if block["type"] == "tool_use"]
    assert [block["input"] for block in sent if block["type"] == "tool_use"] == uses
    if any(block["type"] in ("server_tool_use", "new_tool_result") for block in answer["content"]):
        # All but texts without a word, which the API refuses.
        silent = [block for block in answer["content"] if block["type"] == "text" and not block["text"]]
        assert len(sent) == len(answer["content"]) - len(silent)


@fuzz(answers, noises, st.data())
def test_a_damaged_stream_is_the_right_answer_or_an_error(answer: Any, noise: list[Any], data: Any) -> None:
    """Cut off, with bytes changed, in any pieces: never a crash, and the same however it is cut."""
    wire = wire_of(events_of(answer, noise))
    spoilt = damaged(data, wire)
    whole = outcome(spoilt, [])
    assert outcome(spoilt, cuts(data, spoilt)) == whole
    assert isinstance(whole[1], ErrorClass) or whole[1].choices[0].finish_reason


kinds = st.sampled_from(
    [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop", "error", "ping", "?"),
    ]
)
values: JSON = anything | st.fixed_dictionaries(
    {}, optional={"type": kinds | texts, "text": anything, "usage": usages}
)
any_events: JSON = st.fixed_dictionaries(
    {"type": kinds},
    optional=dict.fromkeys(("index", "message", "content_block", "delta", "usage", "error"), values),
)


@fuzz(st.lists(any_events | anything, max_size=5))
def test_events_of_any_json_are_answers_or_errors(events: list[Any]) -> None:
    """A server of another kind does not crash the gateway."""
    result = outcome(wire_of(events), [])[1]
    assert isinstance(result, ErrorClass) or result.choices


@fuzz(
    st.binary(max_size=30)
    | values.map(lambda value: json.dumps(value).encode())
    | any_events.map(json.dumps).map(str.encode)
)
def test_bodies_of_any_kind_are_read_or_errors(body: bytes) -> None:
    """Answers, lists of models, errors."""
    for read in (lambda: completion_of(body, CALL), lambda: models_of(body)):
        with suppress(GatewayError):
            read()
    assert error_of(500, body, (), callers_key=False).error_class is ErrorClass.UPSTREAM
