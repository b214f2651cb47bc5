"""What is refused before anything is sent to a backend."""

import json
import tracemalloc
from typing import Any

import pytest

from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletionParams, ResponseFormat
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico_core.validate import check_chat
from tests.core.cases import Case, Check, Result, failed, give_the_same
from tests.support import corpus
from tests.support.core import answer, ask, params


def refused(param: str, code: str | None = None) -> Check:
    def check(result: Result) -> None:
        failed(400, code)(result)
        assert result.error is not None
        assert result.error.param == param
        assert result.responses == []
        assert all(not upstream.calls for upstream in result.upstreams.values())

    return check


def missing(param: str) -> Check:
    def check(result: Result) -> None:
        refused(param, "missing_required_parameter")(result)
        assert result.error is not None
        assert result.error.message == f"Missing required parameter: '{param}'."

    return check


def saying(message: ChatMessage) -> ChatRequest:
    return hiding(messages=[message])


def hiding(**members: Any) -> ChatRequest:
    request = ask()
    request.params.MergeFrom(ChatCompletionParams(**members))
    return request


PARTS = [ContentPart(type="text"), ContentPart(extra_json='{"text": 1}')]

REFUSED = {
    "no model": Case(ChatRequest(params=params(model="")), refused("model"), {"a": [[answer()]]}),
    "no messages": Case(
        ChatRequest(params=ChatCompletionParams(model="m")), refused("messages"), {"a": [[answer()]]}
    ),
    "a message without a role": Case(
        hiding(messages=[ChatMessage(content="x")]), refused("messages[1].role")
    ),
    "a part without a type": Case(
        saying(ChatMessage(role="tool", content_parts=[ContentPart(text="x")])),
        missing("messages[1].content[0].type"),
    ),
    "a text without its text": Case(
        saying(ChatMessage(role="system", content_parts=[ContentPart(type="text", text=""), PARTS[0]])),
        missing("messages[1].content[1].text"),
    ),
    "a user who says nothing": Case(saying(ChatMessage(role="user")), missing("messages[1].content")),
    "a number that JSON cannot say": Case(hiding(temperature=float("nan")), refused("temperature")),
    "an endless bias": Case(hiding(logit_bias={"1": float("inf")}), refused("logit_bias")),
    "a stream without messages": Case(
        StreamRequest(params=ChatCompletionParams(model="m")), refused("messages"), {"a": [[]]}
    ),
    "a field hidden in extra_json": Case(
        hiding(extra_json='{"x": 1, "temperature": 3}'), refused("temperature")
    ),
    "a field hidden behind an escape": Case(hiding(extra_json=r'{"mod\u0065l": "x"}'), refused("model")),
    "stream hidden in extra_json": Case(hiding(extra_json='{"stream": true}'), refused("stream")),
    "a field whose JSON has another name": Case(
        hiding(messages=[ChatMessage(role="user", extra_json='{"content": []}')]),
        refused("messages[1].content"),
    ),
    "a field hidden in a part of a message": Case(
        hiding(messages=[ChatMessage(role="user", content_parts=PARTS)]),
        refused("messages[1].content[1].text"),
    ),
    "a field hidden in the response format": Case(
        hiding(response_format=ResponseFormat(extra_json='{"json_schema": {}}')),
        refused("response_format.json_schema"),
    ),
    "extra_json that is no object": Case(hiding(extra_json="[1]"), refused("extra_json")),
    "extra_json that is no JSON": Case(hiding(extra_json='{"a": 1'), refused("extra_json")),
    "extra_json that is nested without end": Case(
        hiding(extra_json='{"a":' + "[" * 100_000 + "]" * 100_000 + "}"), refused("extra_json")
    ),
    "a model that nobody has": Case(ask("nope"), failed(404, "model_not_found"), {"a": [[answer()]]}),
    "headers without end": Case(
        ChatRequest(params=params(), headers=[Header(name="x", value=b"y" * 33_000)]),
        failed(431, "headers_too_large"),
        {"a": [[answer()]]},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refusals(name: str) -> None:
    """The error names the member, no backend is asked, and both bindings say the same."""
    await give_the_same(REFUSED[name])


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(role="user", content=""),
        ChatMessage(role="user", content_parts=[ContentPart(type="text", text="")]),
        ChatMessage(role="user", content_parts=[ContentPart(type="vendors_own", extra_json='{"x":1}')]),
        ChatMessage(role="assistant"),
        ChatMessage(role="vendors_own"),
    ],
)
def test_what_is_empty_but_there_is_the_backends_affair(message: ChatMessage) -> None:
    """So is what other roles may leave out."""
    check_chat(saying(message).params)


@corpus.parametrize(
    lambda case: (
        case.path.endswith("/chat/completions") and "model" in (case.request or {}) and case.status == 200
    )
)
def test_what_backends_have_answered_is_valid(case: corpus.Case) -> None:
    """No such request is refused for what the dialect put into extra_json, or for what it leaves out."""
    parsed, _ = parse_chat(json.dumps(case.request).encode())
    check_chat(parsed)


def test_many_messages_are_checked_in_little_memory() -> None:
    """Though each must be looked at twice, as none has content."""
    asked = ChatCompletionParams(model="m", messages=[ChatMessage(role="user") for _ in range(10_000)])
    size = asked.ByteSize()
    tracemalloc.start()
    try:
        with pytest.raises(GatewayError, match="content"):
            check_chat(asked)
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()
