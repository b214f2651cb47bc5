"""Chat answers: Anthropic's JSON in, OpenAI's out, whole and event by event."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.testing.assemble import assemble
from portico.testing.wire import pieces
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters.anthropic.chat_answer import completion_of
from portico_adapters.anthropic.chat_request import chat_body
from portico_adapters.anthropic.chat_stream import ChatStream
from tests.adapters.anthropic.fixtures import ANSWERS, CALL, chat_call, read, settings_for
from tests.adapters.calls import events_in


def translated(wire: bytes, size: int | None = None, call: UpstreamCall = CALL) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives in pieces of ``size`` bytes."""
    translation = Translation(StreamResponse, SseParser(1 << 20), ChatStream(call))
    for piece in pieces(wire, size):
        yield from translation.feed(piece)
    yield from translation.close()


def events(*told: dict[str, Any]) -> bytes:
    """Return a stream of these events."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in told)


START = {
    "type": "message_start",
    "message": {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}},
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOP = {"type": "message_stop"}


def delta(index: int = 0, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": members}


def says(text: str) -> dict[str, Any]:
    return delta(type="text_delta", text=text)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_becomes_openais(name: str) -> None:
    """Text, thinking, tool calls, citations, finish reason, usage."""
    rendered = render_completion(completion_of(read(f"{name}.json"), CALL))
    assert json.loads(rendered) == json.loads(read(f"{name}.openai.json"))


@pytest.mark.parametrize("size", [None, 64, 1])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_becomes_openais(name: str, size: int | None) -> None:
    """Event by event, in pieces of any size."""
    renderer = ChunkRenderer(include_usage=True)
    rendered = b"".join(map(renderer.render, translated(read(f"{name}.txt"), size))) + renderer.finish()
    assert events_in(rendered) == events_in(read(f"{name}.sse"))


def test_a_start_that_is_said_twice_begins_once() -> None:
    """As some gateways say it."""
    messages = list(translated(events(START, START, TEXT, says("Hi"), END, STOP)))
    roles = [chunk.choices[0].delta.role for message in messages for chunk in message.chunks]
    assert roles == ["assistant", "", ""]
    assert assemble(messages).choices[0].message.content == "Hi"


def test_counts_are_totals() -> None:
    """The last event's replace those of the first, and what it leaves out stays."""
    last = {**END, "usage": {"input_tokens": 4, "output_tokens": 9, "cache_read_input_tokens": 2}}
    usage = assemble(translated(events(START, TEXT, says("Hi"), END, last, STOP))).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (6, 9, 15)


def test_a_tools_input_may_come_with_its_start() -> None:
    """As servers send it that have it whole."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {"a": 1}}
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    (choice,) = assemble(translated(events(START, begin, STOP))).choices
    assert choice.message.tool_calls[0].function.arguments == '{"a": 1}'
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("given", "arguments"),
    [({}, "{}"), (None, "{}"), ("", "{}"), ('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a": 1}')],
)
def test_a_tools_input_is_the_text_of_an_object(given: Any, arguments: str) -> None:
    """However a server writes it."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": given}
    whole = completion_of(json.dumps({"content": [block]}).encode(), CALL)
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    for completion in (whole, assemble(translated(events(START, begin, STOP)))):
        assert completion.choices[0].message.tool_calls[0].function.arguments == arguments


def test_blocks_of_a_cut_off_call_are_carried_as_they_began() -> None:
    """The text of its input is no JSON; the call itself goes to the caller as it is."""
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    cut = delta(type="input_json_delta", partial_json='{"que')
    (choice,) = assemble(translated(events(START, begin, cut, STOP))).choices
    assert json.loads(choice.message.extra_json) == {"content_blocks": [block]}


@pytest.mark.parametrize("streamed", [False, True])
def test_callers_of_functions_get_a_function_call(streamed: bool) -> None:
    """One: there is room for no more, and the request asks for no more."""
    call = chat_call(functions=[{"name": "weather"}])
    if streamed:
        completion = assemble(translated(read("tools.txt"), call=call))
    else:
        completion = completion_of(read("tools.json"), call)
    (choice,) = completion.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call.name == "weather"
    assert json.loads(choice.message.function_call.arguments) == {"city": "Zürich", "days": 2}
    assert not choice.message.tool_calls


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("overloaded_error", 529, "overloaded"),
        ("api_error", 502, "upstream_error"),
        ("rate_limit_error", 429, "rate_limit_exceeded"),
        ("timeout_error", 504, "upstream_timeout"),
        ("authentication_error", 502, "upstream_credentials"),
        ("a_new_error", 502, "upstream_error"),
    ],
)
def test_an_error_in_mid_stream_is_told_after_what_came(kind: str, status: int, code: str) -> None:
    """Its type tells what a status would have told; inside a whole answer too."""
    error = {"type": "error", "error": {"type": kind, "message": "Sorry"}}
    messages = translated(events(START, TEXT, says("Hel"), error))
    assert assemble([next(messages)]).choices[0].message.content == "Hel"
    with pytest.raises(GatewayError) as raised:
        next(messages)
    assert (raised.value.http_status, raised.value.code) == (status, code)
    with pytest.raises(GatewayError) as raised:
        completion_of(json.dumps(error).encode(), CALL)
    assert (raised.value.http_status, raised.value.code) == (status, code)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        events(START, TEXT, says("Hel")),
        events(START, TEXT, says("Hi"), END),
        events(STOP),
        events(START, says("Hi")),
        events({**START, "message": 4}),
        b"data: {\n\n",
        b"data: []\n\n",
    ],
)
def test_a_stream_that_is_not_whole_is_an_error(wire: bytes) -> None:
    """Never a clean end."""
    with pytest.raises(GatewayError) as raised:
        list(translated(wire))
    assert raised.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"content":"x"}', b'{"content":[{"type":4}]}'])
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    """Of the backend."""
    with pytest.raises(GatewayError) as raised:
        completion_of(body, CALL)
    assert raised.value.error_class is ErrorClass.UPSTREAM


def test_nothing_counts_after_the_end() -> None:
    """Such as a [DONE] that a gateway adds."""
    wire = events(START, TEXT, says("Hi"), END, STOP) + b"data: [DONE]\n\n"
    assert assemble(translated(wire)).choices[0].message.content == "Hi"


def test_what_is_carried_stays_on_one_line() -> None:
    """An event may have several; in the stream that the caller reads a line break would end it."""
    block = {"type": "server_tool_use", "id": "s", "name": "n", "input": {"a": [1, 2]}}
    event = {"type": "content_block_start", "index": 0, "content_block": block}
    lines = json.dumps(event, indent=1).encode().replace(b"\n", b"\ndata: ")
    (choice,) = assemble(translated(events(START) + b"data: %b\n\n" % lines + events(STOP))).choices
    assert "\n" not in choice.message.extra_json
    assert json.loads(choice.message.extra_json) == {"content_blocks": [block]}


def test_a_long_stream_costs_no_square() -> None:
    """Thousands of pieces of one block of thinking, and their sum at its end."""
    begin = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    piece = events(delta(type="thinking_delta", thinking="word "))
    ended = events({"type": "content_block_stop", "index": 0}, END, STOP)
    completion = assemble(list(translated(events(START, begin) + piece * 20_000 + ended, 1 << 16)))
    (detail,) = json.loads(completion.choices[0].message.extra_json)["reasoning_details"]
    assert detail["text"] == "word " * 20_000


def whole(*content: dict[str, Any], **members: Any) -> bytes:
    """Return an unstreamed answer."""
    told = {"id": "msg_1", "type": "message", "role": "assistant", "content": content}
    return json.dumps({**told, "stop_reason": "end_turn", **members}).encode()


def one_choice(*told: dict[str, Any]) -> Any:
    """Return the choice that a stream of these events between its start and its end makes."""
    return assemble(translated(events(START, *told))).choices[0]


def begins(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def ends(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_deltas_of_new_types_are_part_of_what_is_carried() -> None:
    """A compaction comes in one, and what else may come is put together likewise."""
    choice = one_choice(
        begins(0, type="compaction", content=None),
        delta(type="compaction_delta", content="So ", encrypted_content="E"),
        delta(type="compaction_delta", content="far.", more=[1]),
        ends(0),
        END,
        STOP,
    )
    block = {"type": "compaction", "content": "So far.", "encrypted_content": "E", "more": [1]}
    assert json.loads(choice.message.extra_json) == {"content_blocks": [block]}


CONTAINER = {"id": "container_1", "expires_at": "2026-11-21T12:00:00Z"}
EDITS = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_input_tokens": 9}]}


def test_the_end_tells_of_the_container_and_of_what_was_cleared() -> None:
    """Streamed and not: a request that names the container goes on in it."""
    end = {**END, "delta": {"stop_reason": "end_turn", "container": CONTAINER}, "context_management": EDITS}
    streamed = one_choice(TEXT, says("a"), ends(0), end, STOP)
    body = whole({"type": "text", "text": "a"}, container=CONTAINER, context_management=EDITS)
    for choice in (streamed, completion_of(body, CALL).choices[0]):
        assert json.loads(choice.extra_json) == {"container": CONTAINER, "context_management": EDITS}


@pytest.mark.parametrize(
    ("caller", "extra"),
    [
        ({"type": "direct"}, None),
        ({"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}, "caller"),
    ],
)
def test_a_call_tells_which_code_called(caller: dict[str, Any], extra: str | None) -> None:
    """And comes back with it."""
    block: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    block["caller"] = caller
    wanted = {extra: caller} if extra else {}
    streamed = one_choice(begins(0, **block), ends(0), END, STOP)
    for choice in (streamed, completion_of(whole(block), CALL).choices[0]):
        [call] = choice.message.tool_calls
        assert json.loads(call.extra_json or "{}") == wanted
        history = chat_call()
        history.params.messages.append(choice.message)
        sent = json.loads(chat_body(history, settings_for(), stream=False))
        returned = {name: value for name, value in block.items() if extra or name != "caller"}
        assert sent["messages"][-1]["content"] == [returned]


def test_a_text_after_a_call_keeps_its_place() -> None:
    """OpenAI's messages have texts before calls, so the blocks themselves are carried."""
    call: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": "a"}, call, {"type": "text", "text": "b"}]
    message = completion_of(whole(*blocks), CALL).choices[0].message
    assert json.loads(message.extra_json) == {"content_blocks": blocks}
    assert not completion_of(whole(*blocks[:2]), CALL).choices[0].message.extra_json


def test_usage_keeps_what_only_this_api_counts() -> None:
    """Place, speed, and the steps of a loop."""
    usage = {"input_tokens": 1, "output_tokens": 2}
    own = {"inference_geo": "us", "speed": "fast", "iterations": [{"type": "message", "input_tokens": 1}]}
    completion = completion_of(whole({"type": "text", "text": "a"}, usage={**usage, **own}), CALL)
    assert json.loads(completion.usage.extra_json) == own
