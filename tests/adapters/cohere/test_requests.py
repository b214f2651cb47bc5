"""Chat requests: OpenAI's JSON in, Cohere's out, and what is refused by name."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cohere.types import ChatMessageV2, ResponseFormatV2, Thinking, ToolV2
from pydantic import ConfigDict, TypeAdapter, create_model

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico_adapters.cohere.chat_request import chat_body
from tests.adapters.cohere.fixtures import MODEL, WIRE, chat_call

REQUESTS = sorted(WIRE.glob("requests/*.json"))

TOOL = {"type": "function", "function": {"name": "now"}}
CUSTOM = {"type": "custom", "custom": {"name": "now"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_request_becomes_coheres(file: Any) -> None:
    """Member by member; what the golden body lacks is not sent. The call itself stays as it was."""
    case = json.loads(file.read_bytes())
    params, stream = parse_chat(json.dumps(case["openai"]).encode())
    before = params.SerializeToString(deterministic=True)
    call = UpstreamCall(params, MODEL, drop_unsupported="dropped" in case)
    assert json.loads(chat_body(call, stream=stream)) == case["cohere"]
    assert sorted(call.dropped) == sorted(case.get("dropped", []))
    assert params.SerializeToString(deterministic=True) == before


_FIELDS: Any = {
    "messages": (list[ChatMessageV2], ...),
    "tools": (list[ToolV2] | None, None),
    "response_format": (ResponseFormatV2 | None, None),
    "thinking": (Thinking | None, None),
}
_TYPES: TypeAdapter[Any] = TypeAdapter(create_model("Body", __config__=ConfigDict(extra="allow"), **_FIELDS))


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_the_sdks_types_accept_a_body(file: Any) -> None:
    """All that the official SDK knows of messages, tools, formats and thinking, checked by pydantic."""
    _TYPES.validate_python(json.loads(file.read_bytes())["cohere"])


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"logprobs": True, "top_logprobs": 2}, "top_logprobs"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"verbosity": "low"}, "verbosity"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"reasoning_effort": "odd"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "a"}}}, "tool_choice"),
    ],
)
def test_a_parameter_that_cannot_be_honoured_is_refused_or_left_out(
    members: dict[str, Any], param: str
) -> None:
    """By its name; left out where the model's configuration says so, and then named to the core."""
    call = replace(chat_call(**members), backend="acme")
    with pytest.raises(GatewayError, match="backend acme") as caught:
        chat_body(call, stream=False)
    assert (caught.value.http_status, caught.value.code) == (400, "unsupported_parameter")
    assert caught.value.param == param
    dropping = replace(call, drop_unsupported=True)
    chat_body(dropping, stream=False)
    assert dropping.dropped == [param]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [CUSTOM]}, "tools[0].type"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [AUDIO]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", **CUSTOM}]}]},
            "messages[0].tool_calls[0].type",
        ),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
    ],
)
def test_what_cannot_be_sent_is_always_refused(members: dict[str, Any], param: str) -> None:
    """The answer would be one to another question."""
    with pytest.raises(GatewayError) as caught:
        chat_body(replace(chat_call(**members), drop_unsupported=True), stream=False)
    assert (caught.value.http_status, caught.value.param) == (400, param)
