"""Chat requests: OpenAI's JSON in, Gemini's out, and what is refused by name."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from google.genai import types

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico_adapters.gemini.chat_answer import completion_of
from portico_adapters.gemini.chat_request import chat_body
from tests.adapters.gemini.fixtures import CALL, MODEL, NEWER, WIRE, chat_call, read

REQUESTS = sorted(WIRE.glob("requests/*.json"))

TOOL = {"type": "function", "function": {"name": "now"}}
USER = {"role": "user", "content": "Hi"}


def body_of(call: UpstreamCall) -> Any:
    return json.loads(chat_body(call))


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_request_becomes_geminis(file: Any) -> None:
    """Member by member; what the golden body lacks is not sent."""
    case = json.loads(file.read_bytes())
    params, _ = parse_chat(json.dumps(case["openai"]).encode())
    before = params.SerializeToString(deterministic=True)
    call = UpstreamCall(params, case.get("model", MODEL), drop_unsupported="dropped" in case)
    assert _exact(chat_body(call)) == _exact(json.dumps(case["gemini"]).encode())
    assert call.dropped == case.get("dropped", [])
    assert params.SerializeToString(deterministic=True) == before


def _exact(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_the_sdks_types_accept_a_body(file: Any) -> None:
    """All that the official SDK knows of contents, tools and the configuration, checked by pydantic."""
    body = json.loads(file.read_bytes())["gemini"]
    for content in [*body["contents"], body.get("systemInstruction", {})]:
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"store": True}, "store"),
        ({"verbosity": "low"}, "verbosity"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"reasoning_effort": "vast"}, "reasoning_effort"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"audio": {"voice": "Kore", "format": "mp3"}}, "audio.format"),
        ({"web_search_options": {"search_context_size": "high"}}, "web_search_options.search_context_size"),
        ({"web_search_options": {"user_location": {"type": "x"}}}, "web_search_options.user_location"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_gemini_cannot_do_is_refused_or_dropped(members: dict[str, Any], param: str) -> None:
    """By its name, and by the backend's; where the configuration lets it, it is left out and noted."""
    call = replace(chat_call(**members), backend="google")
    with pytest.raises(GatewayError) as raised:
        chat_body(call)
    assert (raised.value.http_status, raised.value.param) == (400, param)
    assert "google" in raised.value.message
    allowed = replace(call, drop_unsupported=True)
    chat_body(allowed)
    assert allowed.dropped == [param]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "critic", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": [{"type": "telepathy"}]}], "messages[0].content[0]"),
        ([{"role": "tool", "tool_call_id": "call_9", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "assistant", "audio": {"id": "a"}}], "messages[0].audio"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}],
            "messages[0].content[0].image_url.url",
        ),
        (
            [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
            "messages[0].content[0].file.file_id",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "x", "input": "y"}}],
                }
            ],
            "messages[0].tool_calls[0].type",
        ),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "1", "type": "function", "function": {"name": "x", "arguments": "{"}}
                    ],
                }
            ],
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_messages_that_cannot_be_sent_are_refused(messages: list[Any], param: str) -> None:
    """Always: the answer would be one to another question."""
    call = replace(chat_call(messages=messages), drop_unsupported=True)
    with pytest.raises(GatewayError) as raised:
        chat_body(call)
    assert (raised.value.http_status, raised.value.param) == (400, param)


def test_tools_of_other_vendors_are_refused() -> None:
    """Those of Gemini's own have no type."""
    with pytest.raises(GatewayError) as raised:
        chat_body(chat_call(tools=[TOOL, {"type": "web_search_preview"}]))
    assert raised.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-flash-latest", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-3.5-flash", "xhigh", {"thinkingLevel": "xhigh", "includeThoughts": True}),
        ("gemma-9", "low", {"thinkingLevel": "low", "includeThoughts": True}),
    ],
)
def test_effort_is_a_budget_or_a_level(model: str, effort: str, sent: dict[str, Any]) -> None:
    """By the generation of the model."""
    body = body_of(chat_call(model, reasoning_effort=effort))
    assert body["generationConfig"] == {"thinkingConfig": sent}


@pytest.mark.parametrize("model", [NEWER, "gemini-2.5-pro"])
def test_some_models_cannot_be_kept_from_thinking(model: str) -> None:
    """Which the caller learns."""
    with pytest.raises(GatewayError) as raised:
        chat_body(chat_call(model, reasoning_effort="none"))
    assert raised.value.param == "reasoning_effort"


@pytest.mark.parametrize(
    ("strict", "choice", "mode"),
    [(True, None, "VALIDATED"), (True, "auto", "VALIDATED"), (True, "none", "NONE"), (False, "auto", "AUTO")],
)
def test_strict_tools_are_validated(strict: bool, choice: str | None, mode: str) -> None:
    """Unless the choice says more."""
    tool = {"type": "function", "function": {"name": "now", "strict": strict}}
    members: dict[str, Any] = {"tools": [tool]} | ({"tool_choice": choice} if choice else {})
    assert body_of(chat_call(**members))["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


@pytest.mark.parametrize("name", ["thinking", "tools", "code", "image", "images_signed", "server_tools"])
def test_what_an_answer_carries_comes_back_as_it_was(name: str) -> None:
    """Thoughts, texts and calls with their signatures, in order, as the API wrote them."""
    answer = json.loads(read(f"{name}.json"))["candidates"][0]["content"]["parts"]
    message = completion_of(read(f"{name}.json"), CALL, callers_key=False).choices[0].message
    call = chat_call(NEWER)
    call.params.messages.append(message)
    assert body_of(call)["contents"][-1] == {"role": "model", "parts": answer}


def test_images_of_other_models_go_along() -> None:
    """Those that stand in the message itself; of what stands elsewhere the model said nothing."""
    told = ["data:image/png;base64,AAAA", "https://example.com/a.png"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in told]
    body = body_of(chat_call(messages=[USER, {"role": "assistant", "content": "Here.", "images": images}]))
    parts = [{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    assert body["contents"][1] == {"role": "model", "parts": parts}


@pytest.mark.parametrize("images", [7, [7], [{"image_url": {"url": 7}}], [{}], None])
def test_images_that_cannot_be_read_are_passed_over(images: Any) -> None:
    """They are of another shape."""
    body = body_of(chat_call(messages=[USER, {"role": "assistant", "content": "a", "images": images}]))
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "a"}]}


def test_details_that_cannot_be_read_are_passed_over() -> None:
    """They are another dialect's."""
    said = {"role": "assistant", "content": "a", "reasoning_details": [4]}
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": 7,
    }
    body = body_of(chat_call(messages=[USER, {**said, "tool_calls": [call]}]))
    parts = [{"text": "a"}, {"functionCall": {"name": "f", "args": {}}}]
    assert body["contents"][1] == {"role": "model", "parts": parts}
