"""Chat requests: OpenAI's JSON in, Ollama's out, and what is refused by name."""

import json
from decimal import Decimal
from typing import Any

import pytest

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionDefinition, Tool
from portico_adapters.ollama.chat_request import chat_body
from tests.adapters.ollama.fixtures import MODEL, WIRE, chat_call, settings_for

REQUESTS = sorted(WIRE.glob("requests/*.json"))

TOOL = {"type": "function", "function": {"name": "now"}}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_request_becomes_ollamas(file: Any) -> None:
    """Member by member; what the golden body lacks is not sent."""
    case = json.loads(file.read_bytes())
    params, stream = parse_chat(json.dumps(case["openai"]).encode())
    before = params.SerializeToString(deterministic=True)
    sent = chat_body(UpstreamCall(params, MODEL), settings_for(**case.get("settings", {})), stream=stream)
    assert _exact(sent) == _exact(json.dumps(case["ollama"]).encode())
    assert params.SerializeToString(deterministic=True) == before


def _exact(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


def test_texts_of_json_go_out_as_they_came_in() -> None:
    """Schemas and arguments keep the order of members, escapes and numbers of any size."""
    schema = '{"z":1e400,"a":-0.0,"n":123456789012345678901234567890,"t":"\\u0041"}'
    arguments = '{"z":1e400,"a":-0.0,"n":123456789012345678901234567890,"t":"\\u0041"}'
    body = (
        '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function",'
        f'"function":{{"name":"f","arguments":{json.dumps(arguments)}}}}}]}}],'
        f'"response_format":{{"type":"json_schema","json_schema":{{"name":"s","schema":{schema}}}}},'
        f'"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}'
    )
    sent = chat_body(UpstreamCall(parse_chat(body.encode())[0], MODEL), settings_for(), stream=False)
    assert sent.count(schema.encode()) == 3


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "several answers": ({"n": 2}, "n"),
    "biases": ({"logit_bias": {"1": 1}}, "logit_bias"),
    "storing": ({"store": True}, "store"),
    "a service tier": ({"service_tier": "priority"}, "service_tier"),
    "verbosity": ({"verbosity": "low"}, "verbosity"),
    "spoken answers": ({"modalities": ["text", "audio"]}, "modalities"),
    "a voice": ({"audio": {"format": "wav", "voice": "alloy"}}, "audio"),
    "a prediction": ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
    "web search": ({"web_search_options": {}}, "web_search_options"),
    "moderation": ({"moderation": {"x": 1}}, "moderation"),
    "functions": ({"functions": [{"name": "f"}]}, "functions"),
    "a function to call": ({"function_call": "auto"}, "function_call"),
    "a tool that must be called": ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
    "the tool to call": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "now"}}},
        "tool_choice",
    ),
    "a choice of tools": (
        {
            "tools": [TOOL],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
        },
        "tool_choice",
    ),
    "one tool at a time": ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
    "custom tools": ({"tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}]}, "tools[1].type"),
    "a vendor's tools": ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    "a grammar": ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format.grammar"),
    "a vendor's format": ({"response_format": {"type": "regex"}}, "response_format.type"),
    "a schema where it has no place": (
        {"response_format": {"type": "json_object", "schema": {}}},
        "response_format.schema",
    ),
    "minimal reasoning": ({"reasoning_effort": "minimal"}, "reasoning_effort"),
    "options that are none": ({"options": [1]}, "options"),
}

REFUSED_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "a vendor's role": ({"role": "critic", "content": "x"}, ".role"),
    "an old function's result": ({"role": "function", "name": "f", "content": "x"}, ".role"),
    "an old function call": (
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        ".function_call",
    ),
    "a spoken answer": ({"role": "assistant", "audio": {"id": "a"}}, ".audio"),
    "a remote image": (
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            ],
        },
        ".content[1].image_url.url",
    ),
    "an image that is none": (
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:text/html;base64,PGI+"}}],
        },
        ".content[0].image_url.url",
    ),
    "an image that is not base64": (
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}],
        },
        ".content[0].image_url.url",
    ),
    "speech": (
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
        ".content[0]",
    ),
    "a file": ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, ".content[0]"),
    "a vendor's part": (
        {"role": "user", "content": [{"type": "video_url", "video_url": "x"}]},
        ".content[0]",
    ),
    "a custom tool's call": (
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "n", "input": ""}}],
        },
        ".tool_calls[0].type",
    ),
    **{
        f"arguments that are {name}": (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
                ],
            },
            ".tool_calls[0].function.arguments",
        )
        for name, arguments in {"cut short": '{"a":', "a list": "[]", "a text": '"x"', "two": "{}{}"}.items()
    },
}


@pytest.mark.parametrize(("members", "param"), REFUSED.values(), ids=REFUSED)
def test_what_ollama_cannot_do_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    """400 invalid_request_error that names the member; nothing is dropped in silence."""
    error = _refusal(chat_call(**members))
    assert error.param == param
    assert error.code == ("unsupported_parameter" if param != "options" else None)


@pytest.mark.parametrize(("message", "where"), REFUSED_MESSAGES.values(), ids=REFUSED_MESSAGES)
def test_what_ollama_cannot_read_is_refused_by_its_place(message: dict[str, Any], where: str) -> None:
    """The message's number is in the name."""
    error = _refusal(chat_call(messages=[{"role": "user", "content": "Hi"}, message]))
    assert error.param == f"messages[1]{where}"


@pytest.mark.parametrize("text", ["{", '{}}],"model":"other"', "", "{} {}"])
def test_json_of_a_stub_that_is_none_does_not_leave_its_place(text: str) -> None:
    """A gRPC caller's schema cannot close the object it stands in and add members to the body."""
    tool = Tool(type="function", function=FunctionDefinition(name="f", parameters_json=text))
    params = ChatCompletionParams(messages=[ChatMessage(role="user", content="x")], tools=[tool])
    assert _refusal(UpstreamCall(params, MODEL)).param == "tools[0].function.parameters"


def test_the_last_call_of_an_id_names_its_result() -> None:
    """Clients that number the calls of each turn anew use an id twice."""

    def turn(name: str) -> list[dict[str, Any]]:
        call = {"id": "call_0", "type": "function", "function": {"name": name, "arguments": "{}"}}
        return [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_0", "content": "x"},
        ]

    body = chat_body(chat_call(messages=[*turn("a"), *turn("b")]), settings_for(), stream=False)
    names = [message.get("tool_name") for message in json.loads(body)["messages"]]
    assert names == [None, "a", None, "b"]


def _refusal(call: UpstreamCall) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        chat_body(call, settings_for(), stream=False)
    error = caught.value
    assert (error.http_status, error.type) == (400, "invalid_request_error")
    return error
