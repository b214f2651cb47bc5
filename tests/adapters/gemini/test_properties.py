"""What holds for every request and every answer, whatever is in it."""

import itertools
import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import Any

from google.genai import types
from hypothesis import strategies as st

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from portico_adapters.gemini.chat_answer import completion_of
from portico_adapters.gemini.chat_request import chat_body
from portico_adapters.gemini.chat_stream import ChatStream
from portico_adapters.gemini.errors import error_of
from portico_adapters.gemini.framing import StreamFraming
from portico_adapters.gemini.models import models_of
from tests.adapters.gemini.fixtures import CALL, MODEL, NEWER
from tests.adapters.outcomes import outcome_of
from tests.proto.openai.strategies import JSON, anything, requests
from tests.support.fuzz import cuts, fuzz
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

models = st.sampled_from([MODEL, NEWER, "x"])
texts = st.text(max_size=6)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])

# ---- requests


def body_or_error(call: UpstreamCall) -> Any:
    try:
        return json.loads(chat_body(call))
    except GatewayError as error:
        return error


@fuzz(requests, roles, models, st.booleans())
def test_a_request_is_translated_or_refused_by_name(request: Any, role: str, model: str, drop: bool) -> None:
    """A body with contents of two sides, or 400 that names a member."""
    for message in request["messages"]:
        message["role"] = role
    params, _ = parse_chat(json.dumps(request).encode())
    body = body_or_error(UpstreamCall(params, model, drop_unsupported=drop))
    if isinstance(body, GatewayError):
        assert (body.error_class, body.http_status) == (ErrorClass.CALLER, 400)
        assert body.param
        return
    assert {content["role"] for content in body["contents"]} <= {"user", "model"}
    assert all(content["parts"] for content in body["contents"])


arguments = st.dictionaries(st.text(max_size=3), anything, max_size=2)
details: JSON = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["reasoning.text", "reasoning.encrypted", "reasoning.summary"]),
            "format": st.sampled_from(["google-gemini-v1", "other-v1"]),
        },
        optional={
            "text": texts,
            "signature": st.just("c2ln") | st.none(),
            "data": st.just("c2ln"),
            "index": st.integers(0, 3) | st.none(),
            "start": st.integers(-1, 5) | st.none(),
            "end": st.integers(-1, 5),
        },
    ),
    max_size=3,
)
calls: JSON = st.builds(
    lambda number, given, signed: {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": f"f{number}", "arguments": json.dumps(given)},
        **({"extra_content": {"google": {"thought_signature": "c2ln"}}} if signed else {}),
    },
    st.integers(0, 3),
    arguments,
    st.booleans(),
)
said: JSON = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": texts}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": texts | st.none()},
        optional={"tool_calls": st.lists(calls, max_size=2), "reasoning_details": details},
    ),
    st.builds(
        lambda number, text: {"role": "tool", "tool_call_id": f"call_{number}", "content": text},
        st.integers(0, 3),
        texts | arguments.map(json.dumps),
    ),
)


@fuzz(st.lists(said, min_size=1, max_size=6), models)
def test_a_conversation_keeps_the_apis_rules(messages: list[Any], model: str) -> None:
    """The model's turns stand alone, no text is lost, newer models see a signature; the SDK accepts it."""
    params, _ = parse_chat(json.dumps({"model": "m", "messages": messages}).encode())
    body = body_or_error(UpstreamCall(params, model))
    if isinstance(body, GatewayError):
        assert str(body.param).endswith("tool_call_id")
        return
    for content in body["contents"]:
        types.Content.model_validate(content)
    turns = body["contents"]
    sides = [turn["role"] for turn in turns]
    assert ("model", "model") not in itertools.pairwise(sides)
    parts = [part for turn in turns if turn["role"] == "model" for part in turn["parts"]]
    spoken = "".join(part["text"] for part in parts if "text" in part and "thought" not in part)
    assert spoken == "".join(m["content"] or "" for m in messages if m["role"] == "assistant")
    results = [part for turn in turns for part in turn["parts"] if "functionResponse" in part]
    assert len(results) == sum(message["role"] == "tool" for message in messages)
    for turn in turns:
        called = [part for part in turn["parts"] if "functionCall" in part]
        if called and model == NEWER:
            assert any("thoughtSignature" in part for part in called)


@fuzz(anything, st.sampled_from(["reasoning_details", "extra_content"]))
def test_carried_members_of_any_form_are_taken(value: Any, name: str) -> None:
    """What comes back need not be what was sent."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}, name: value}
    message = {"role": "assistant", "content": "x", "tool_calls": [call], name: value}
    params, _ = parse_chat(json.dumps({"model": "m", "messages": [message]}).encode())
    assert json.loads(chat_body(UpstreamCall(params, NEWER)))["contents"]


# ---- answers

unknown: JSON = st.dictionaries(st.sampled_from(["x", "Role", "_debug", "citation"]), anything, max_size=1)
parts: JSON = st.one_of(
    st.fixed_dictionaries({"text": texts}, optional={"thoughtSignature": st.just("c2ln")}),
    st.fixed_dictionaries({"text": texts, "thought": st.just(True)}),
    st.fixed_dictionaries({"text": texts, "thought": st.just(True), "thoughtSignature": st.just("c2ln")}),
    st.fixed_dictionaries(
        {"functionCall": st.fixed_dictionaries({"name": texts, "args": arguments})},
        optional={"thoughtSignature": st.just("c2ln")},
    ),
    st.fixed_dictionaries({"executableCode": anything}),
    st.fixed_dictionaries(
        {"executableCode": st.builds(lambda code: {"language": "PYTHON", "code": code}, texts)},
        optional={"thoughtSignature": st.just("c2ln")},
    ),
    st.fixed_dictionaries({"aNewKind": anything}),
)
counts = st.integers(0, 1000)
usages: JSON = st.fixed_dictionaries(
    {"promptTokenCount": counts},
    optional={
        "candidatesTokenCount": counts,
        "thoughtsTokenCount": counts,
        "cachedContentTokenCount": counts,
        "toolUsePromptTokenCount": counts,
        "promptTokensDetails": st.just([{"modality": "TEXT", "tokenCount": 1}, {"modality": 9}]),
    },
)
reasons = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER", "A_NEW_ONE", 1, 3])


def whole_of(said_parts: list[Any], reason: Any, usage: Any, more: Any) -> Any:
    content = {"content": {**more, "role": "model", "parts": said_parts}}
    return {
        "candidates": [{**content, "finishReason": reason}],
        "usageMetadata": usage,
        "responseId": "r",
        "createTime": "2026-08-19T14:38:15.050708Z",
    }


answers: JSON = st.builds(whole_of, st.lists(parts, max_size=4), reasons, usages, unknown)


def wire_of(answer: Any, noise: list[Any], framing: str) -> bytes:
    """Return an answer as a stream, a part in each event, with others between them that say nothing."""
    (candidate,) = answer["candidates"]
    told: list[Any] = [
        {**answer, "candidates": [{"content": {**candidate["content"], "parts": [part]}}]}
        for part in candidate["content"]["parts"]
    ]
    told.append({**answer, "candidates": [{"finishReason": candidate["finishReason"]}]})
    for place, event in enumerate(noise):
        told.insert(place * 3 % len(told), {**event, "responseId": "r", "createTime": answer["createTime"]})
    if framing == "array":
        return json.dumps(told, indent=1).encode()
    return b"".join(b"data: %b%b" % (json.dumps(event).encode(), framing.encode() * 2) for event in told)


def outcome(wire: bytes, places: list[int]) -> Any:
    """Return the chunks and the answer, or the class of the error, of a stream cut at these places."""
    stream = ChatStream(CALL, callers_key=False)
    return outcome_of(Translation(StreamResponse, StreamFraming(1 << 20), stream), wire, places)


noises: JSON = st.lists(
    st.sampled_from([{}, {"candidates": []}, {"usageMetadata": {"trafficType": "X"}}, {"new": [{}]}]),
    max_size=3,
)
framings = st.sampled_from(["\n", "\r\n", "\r", "array"])


@fuzz(answers, noises, framings, st.data())
def test_a_stream_says_what_the_whole_answer_says(
    answer: Any, noise: list[Any], framing: str, data: Any
) -> None:
    """And both what was said: wherever reads end, whatever members and events are new."""
    whole = completion_of(json.dumps(answer).encode(), CALL, callers_key=False)
    wire = wire_of(answer, noise, framing)
    chunks, joined = outcome(wire, cuts(data, wire))
    (one,), (other,) = whole.choices, joined.choices
    told = answer["candidates"][0]["content"]["parts"]
    for message in (one.message, other.message):
        assert message.content == "".join(p["text"] for p in told if "text" in p and "thought" not in p)
        assert message.reasoning_content == "".join(p["text"] for p in told if "thought" in p)
        assert [
            (c.id, c.function.name, json.loads(c.function.arguments)) for c in one.message.tool_calls
        ] == [
            (c.id, p["functionCall"]["name"], p["functionCall"]["args"])
            for c, p in zip(message.tool_calls, (p for p in told if "functionCall" in p), strict=True)
        ]
    assert (one.finish_reason, one.extra_json) == (other.finish_reason, other.extra_json)
    assert whole.usage == joined.usage
    assert of_chunks(chunks) == as_the_sdk_reads(whole)
    carried = [
        json.loads(choice.delta.extra_json)
        for chunk in chunks
        for choice in chunk.choices
        if choice.delta.extra_json
    ]
    whole_details = json.loads(one.message.extra_json or "{}").get("reasoning_details", [])
    assert [detail for each in carried for detail in each.get("reasoning_details", ())] == whole_details


@fuzz(answers)
def test_what_was_said_can_be_sent_back(answer: Any) -> None:
    """Thoughts, texts and calls, with the signatures that they came with."""
    message = completion_of(json.dumps(answer).encode(), CALL, callers_key=False).choices[0].message
    call = replace(CALL, params=type(CALL.params)(model="m", messages=[message]))
    contents = json.loads(chat_body(call))["contents"]
    sent = contents[0]["parts"] if contents else []
    told = answer["candidates"][0]["content"]["parts"]

    def signatures(of: list[Any], member: str) -> list[Any]:
        return [part.get("thoughtSignature") for part in of if member in part]

    def ran(of: list[Any]) -> list[Any]:
        code = [part for part in of if isinstance(part.get("executableCode"), dict)]
        return [
            (part["executableCode"], part.get("thoughtSignature")) for part in code if part["executableCode"]
        ]

    def signed_texts(of: list[Any]) -> list[Any]:
        return [found for found in signatures(of, "text") if found]

    def text(of: list[Any], *, thought: bool) -> str:
        return "".join(part["text"] for part in of if "text" in part and ("thought" in part) is thought)

    assert signatures(sent, "functionCall") == signatures(told, "functionCall")
    assert ran(sent) == ran(told)
    assert signed_texts(sent) == signed_texts(told)
    assert text(sent, thought=True) == text(told, thought=True)
    assert text(sent, thought=False) == text(told, thought=False)
    signed = [part["text"] for part in told if "thought" not in part and part.get("text") and len(part) > 1]
    found = [part["text"] for part in sent if "thought" not in part and part.get("text") and len(part) > 1]
    assert found == signed


@fuzz(answers, anything, st.data())
def test_members_of_a_wrong_type_are_errors_or_passed_over(answer: Any, wrong: Any, data: Any) -> None:
    """Never a crash: an answer, or the backend's fault."""
    at: Any = answer
    while isinstance(at, dict | list) and at:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if data.draw(st.booleans()) or not isinstance(at[key], dict | list):
            at[key] = wrong
            break
        at = at[key]
    with suppress(GatewayError):
        completion_of(json.dumps(answer).encode(), CALL, callers_key=False)
    if isinstance(answer.get("candidates"), list):
        wire = b"data: %b\n\n" % json.dumps(answer).encode()
        outcome(wire, [])


@fuzz(answers, framings, st.data())
def test_a_stream_that_is_cut_off_is_never_whole(answer: Any, framing: str, data: Any) -> None:
    """Unless only what follows its last event is missing."""
    wire = wire_of(answer, [], framing)
    last = wire.rindex(b"finishReason")
    _, found = outcome(wire[: data.draw(st.integers(0, last))], [])
    assert found is ErrorClass.UPSTREAM


@fuzz(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_error_or_an_answer(body: bytes) -> None:
    """Of the backend, whatever was asked."""
    for ask in (
        lambda: completion_of(body, CALL, callers_key=False),
        lambda: models_of(body, callers_key=False),
        lambda: error_of(400, body, (), callers_key=False),
    ):
        with suppress(GatewayError):
            ask()
    outcome(body, [])
    outcome(b"data: %b\n\n" % body, [])


@fuzz(anything)
def test_errors_of_any_form_are_read(value: Any) -> None:
    """By their status, where nothing else can be."""
    for body in ({"error": value}, [{"error": {"code": 429, "message": "x", "details": value}}]):
        assert error_of(429, json.dumps(body).encode(), (), callers_key=False).http_status == 429


# ---- calls whose arguments come in pieces

leaves: JSON = st.none() | st.booleans() | st.integers(-9, 9) | texts
trees: JSON = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.text("ab.'\\\\[ ]", min_size=1, max_size=3), inner, min_size=1, max_size=2)
    ),
    max_leaves=5,
)


def pieces_of(value: Any, path: str) -> list[dict[str, Any]]:
    """Return what the API would send of a value at a path, texts in two pieces."""
    if isinstance(value, dict):
        quoted = {name: name.replace("\\", "\\\\").replace("'", "\\'") for name in value}
        return [
            piece for name, each in value.items() for piece in pieces_of(each, f"{path}['{quoted[name]}']")
        ]
    if isinstance(value, list):
        return [piece for at, each in enumerate(value) for piece in pieces_of(each, f"{path}[{at}]")]
    if isinstance(value, str):
        return [{"jsonPath": path, "stringValue": part} for part in (value[:2], value[2:])]
    kind = "nullValue" if value is None else "boolValue" if isinstance(value, bool) else "numberValue"
    return [{"jsonPath": path, kind: "NULL_VALUE" if value is None else value}]


def streamed_call(pieces: list[Any]) -> bytes:
    """Return a stream with a call of which one piece comes in each event."""
    told: list[Any] = [{"name": "f", "willContinue": True}]
    told += [{"partialArgs": [piece], "willContinue": True} for piece in pieces]
    parts: list[Any] = [{"functionCall": call} for call in (*told, {})]
    events: list[Any] = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
    events.append({"candidates": [{"finishReason": "STOP"}]})
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


@fuzz(st.dictionaries(st.text("ab.'\\[ ]", min_size=1, max_size=3), trees, max_size=2))
def test_arguments_that_come_in_pieces_are_put_together(arguments: Any) -> None:
    """By their paths, however odd the names are."""
    _, found = outcome(streamed_call(pieces_of(arguments, "$")), [])
    (call,) = found.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("f", arguments)
    assert found.choices[0].finish_reason == "tool_calls"


paths = st.text("$.ab[]0'9", max_size=8) | st.integers(0, 10**9).map(lambda at: f"$.a[{at}]")
odd_pieces: JSON = st.builds(lambda path, value: {"jsonPath": path, "stringValue": value}, paths, texts)


@fuzz(st.lists(odd_pieces, max_size=4))
def test_pieces_at_places_that_are_none_are_errors(pieces: list[Any]) -> None:
    """Of the backend."""
    _, found = outcome(streamed_call(pieces), [])
    assert found is ErrorClass.UPSTREAM or found.choices[0].message.tool_calls


def test_a_long_name_is_read_in_memory_of_its_own_size() -> None:
    """Without a note of each of its characters."""
    stream = streamed_call([{"jsonPath": f"$['{'x' * 500_000}']", "numberValue": 1}])
    tracemalloc.start()
    try:
        _, found = outcome(stream, [])
        assert tracemalloc.get_traced_memory()[1] < 20 * len(stream)
    finally:
        tracemalloc.stop()
    assert len(found.choices[0].message.tool_calls[0].function.arguments) > 500_000
