"""Chat answers: Cohere's JSON in, OpenAI's out, whole and event by event."""

import json
from typing import Any

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.openai.responses import render_completion
from portico.testing.assemble import assemble
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters.cohere.chat_answer import completion_of
from portico_adapters.cohere.reasoning import DETAILS
from tests.adapters.cohere.fixtures import ANSWERS, CALL, chat_call, events, read, translated

START = {"type": "message-start", "id": "id-1", "delta": {"message": {"role": "assistant"}}}
FUNCTIONS = chat_call(functions=[{"name": "weather"}])


def shown(completion: ChatCompletion) -> Any:
    """Return what a caller reads, less the members that are null."""
    return without_nulls(json.loads(render_completion(completion)))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner not in (None, [])}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_becomes_openais(name: str) -> None:
    """Text, thinking, tool calls, citations, finish reason, usage."""
    found = completion_of(read(f"{name}.json"), CALL)
    assert shown(found) == without_nulls(json.loads(read(f"{name}.openai.json")))


@pytest.mark.parametrize("size", [None, 64, 1])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_says_what_the_whole_answer_says(name: str, size: int | None) -> None:
    """In pieces of any size. Lists in pieces, as clients join them, are compared piece by piece."""
    wire = read(f"{name}.txt")
    messages = list(translated(wire, range(size, len(wire), size) if size else ()))
    found, whole = shown(assemble(messages)), shown(completion_of(read(f"{name}.json"), CALL))
    deltas = [choice.delta for each in messages for chunk in each.chunks for choice in chunk.choices]
    extras = [json.loads(delta.extra_json) for delta in deltas if delta.extra_json]
    for message in (found["choices"][0]["message"], whole["choices"][0]["message"]):
        for call in message.get("tool_calls", ()):
            call.pop("index", None)
    told = whole["choices"][0]["message"]
    assert [each for extra in extras for each in extra.get("citations", ())] == told.get("citations", [])
    thoughts = "".join(each["text"] for extra in extras for each in extra.get(DETAILS, ()))
    assert thoughts == "".join(each["text"] for each in told.get(DETAILS, ()))
    for message in (found["choices"][0]["message"], told):
        message.pop("citations", None)
        message.pop(DETAILS, None)
        if not message.get("content"):
            message.pop("content", None)
    assert found | {"object": ""} == whole | {"object": ""}
    assert deltas[0].role == "assistant"


def test_callers_of_functions_read_a_function_call() -> None:
    """Whole and streamed, with the finish reason that goes with it."""
    whole = completion_of(read("plan_and_tool.json"), FUNCTIONS)
    streamed = assemble(translated(read("plan_and_tool.txt"), call=FUNCTIONS))
    for completion in (whole, streamed):
        (choice,) = completion.choices
        assert choice.finish_reason == "function_call"
        assert choice.message.function_call.name == "weather"
        assert choice.message.function_call.arguments == '{"city":"Oslo"}'
        assert not choice.message.tool_calls


@pytest.mark.parametrize(
    ("reason", "status"), [("ERROR", 502), ("ERROR_LIMIT", None), ("TIMEOUT", 504), ("USER_CANCEL", 502)]
)
def test_an_answer_that_failed_is_an_error(reason: str, status: int | None) -> None:
    """Inside a 200, whole and streamed; what came before it is the caller's."""
    whole = {"id": "1", "message": {"content": [{"type": "text", "text": "Hi"}]}, "finish_reason": reason}
    end = {"type": "message-end", "delta": {"finish_reason": reason, "error": "it broke"}}
    if status is None:
        assert completion_of(json.dumps(whole).encode(), CALL).choices[0].finish_reason == "length"
        return
    with pytest.raises(GatewayError) as caught:
        completion_of(json.dumps(whole).encode(), CALL)
    assert caught.value.http_status == status
    messages: list[StreamResponse] = []
    with pytest.raises(GatewayError) as caught:
        messages.extend(translated(events(START, end)))
    assert (caught.value.http_status, caught.value.detail) == (status, "it broke")


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"data: [DONE]\n\n",
        b"data: nonsense\n\n",
        events(START),
        events(START, {"id": "1", "message": "internal error"}),
        events(START, {"type": "tool-call-start", "index": 0, "delta": {"message": {}}}),
        events(START, {"type": "content-delta", "delta": 5}),
        b'{"id":"1","message":"not a stream"}',
    ],
)
def test_a_stream_that_is_none_or_breaks_off_is_an_error(wire: bytes) -> None:
    """Of the backend."""
    with pytest.raises(GatewayError) as caught:
        list(translated(wire))
    assert caught.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"message":{"content":5},"finish_reason":"COMPLETE"}'])
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    """Of the backend."""
    with pytest.raises(GatewayError) as caught:
        completion_of(body, CALL)
    assert caught.value.error_class is ErrorClass.UPSTREAM


def test_ids_that_are_missing_are_made() -> None:
    """The same for the same call, other ones for other calls of a tool."""
    body = json.loads(read("parallel_tools.json"))
    del body["id"]
    for call in body["message"]["tool_calls"]:
        del call["id"]
    first, second = (completion_of(json.dumps(body).encode(), CALL) for _ in range(2))
    ids = [call.id for call in first.choices[0].message.tool_calls]
    assert len({first.id, *ids}) == 3
    assert (second.id, [call.id for call in second.choices[0].message.tool_calls]) == (first.id, ids)


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"billed_units": {"input_tokens": 3.0, "output_tokens": 2.0}}, (3, 2)),
        ({"billed_units": {"input_tokens": 3}, "tokens": {"input_tokens": 70, "output_tokens": 2}}, (70, 2)),
        ({"billed_units": {"search_units": 1}}, None),
        ({"billed_units": 7}, None),
        ({}, None),
    ],
)
def test_what_is_paid_for_counts_where_no_more_is_told(
    told: dict[str, Any], counts: tuple[int, int] | None
) -> None:
    """Nearer than any guess."""
    answer = json.loads(read("text.json"))
    answer["usage"] = told
    completion = completion_of(json.dumps(answer).encode(), CALL)
    assert completion.HasField("usage") is (counts is not None)
    if counts:
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == counts
