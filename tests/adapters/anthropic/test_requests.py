"""Chat requests: OpenAI's JSON in, Anthropic's out, and what is refused by name."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from anthropic.types import MessageCreateParams
from pydantic import TypeAdapter

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico_adapters.anthropic.chat_request import chat_body
from tests.adapters.anthropic.fixtures import MODEL, WIRE, chat_call, settings_for

REQUESTS = sorted(WIRE.glob("requests/*.json"))

TOOL = {"type": "function", "function": {"name": "now"}}
USER = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def body_of(call: UpstreamCall, **settings: Any) -> Any:
    return json.loads(chat_body(call, settings_for(**settings), stream=False))


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_request_becomes_anthropics(file: Any) -> None:
    """Member by member; what the golden body lacks is not sent."""
    case = json.loads(file.read_bytes())
    params, stream = parse_chat(json.dumps(case["openai"]).encode())
    before = params.SerializeToString(deterministic=True)
    call = UpstreamCall(params, case.get("model", MODEL))
    sent = chat_body(call, settings_for(**case.get("settings", {})), stream=stream)
    assert _exact(sent) == _exact(json.dumps(case["anthropic"]).encode())
    assert call.dropped == case.get("dropped", [])
    assert params.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_the_sdks_types_accept_a_body(file: Any) -> None:
    """All that the official SDK knows of a request, checked by pydantic."""
    _TYPES.validate_python(json.loads(file.read_bytes())["anthropic"])


_TYPES: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)


def _exact(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"store": True}, "store"),
        ({"verbosity": "low"}, "verbosity"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": 0.5, "reasoning_effort": "low"}, "temperature"),
        ({"top_p": 0.5, "reasoning_effort": "low"}, "top_p"),
        ({"reasoning_effort": "vast"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "max_tokens": 500}, "reasoning_effort"),
        ({"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"web_search_options": {"search_context_size": "high"}}, "web_search_options.search_context_size"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_parameter_is_refused_by_name_or_dropped(members: dict[str, Any], param: str) -> None:
    """400 names it; where the configuration lets parameters be dropped the rest is sent."""
    call = chat_call(**members)
    with pytest.raises(GatewayError) as raised:
        body_of(call)
    assert (raised.value.http_status, raised.value.param) == (400, param)
    lenient = replace(call, drop_unsupported=True)
    sent = body_of(lenient)
    assert param in lenient.dropped
    assert sent["messages"] == [USER]
    assert param not in sent or param == "temperature"


def parts(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(given)}]


def called(arguments: str) -> list[dict[str, Any]]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [USER, {"role": "assistant", "tool_calls": [call]}]


AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
VIDEO = {"type": "video_url", "video_url": {"url": "x"}}
BUCKET = {"type": "image_url", "image_url": {"url": "gs://x"}}
WORD = {"type": "file", "file": {"file_data": "AAAA", "filename": "a.doc"}}
LATIN = {"type": "file", "file": {"file_data": "/w==", "filename": "a.txt"}}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "critic", "content": "x"}], "messages[0].role"),
        ([{"role": "system", "content": "x"}], "messages"),
        ([{"role": "user", "content": " "}], "messages"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        (parts(AUDIO), "messages[0].content[0]"),
        (parts(VIDEO), "messages[0].content[0]"),
        (parts(BUCKET), "messages[0].content[0].image_url.url"),
        (parts(WORD), "messages[0].content[0].file.file_data"),
        (parts(LATIN), "messages[0].content[0].file.file_data"),
        ([{"role": "assistant", "content": [BUCKET]}, USER], "messages[0].content[0]"),
        ([{"role": "assistant", "content": None, "audio": {"id": "a"}}], "messages[0].audio"),
        (called("[1"), "messages[1].tool_calls[0].function.arguments"),
    ],
)
def test_messages_that_cannot_be_sent_are_refused(messages: list[Any], param: str) -> None:
    """Even where parameters may be dropped: the answer would be one to another question."""
    call = replace(chat_call(messages=messages), drop_unsupported=True)
    with pytest.raises(GatewayError) as raised:
        body_of(call)
    assert (raised.value.http_status, raised.value.param) == (400, param)


def test_custom_tools_are_refused() -> None:
    """The API has none of free text."""
    with pytest.raises(GatewayError) as raised:
        body_of(chat_call(tools=[{"type": "custom", "custom": {"name": "x"}}]))
    assert raised.value.param == "tools[0].type"


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 64000),
        ("claude-opus-4-20250514", 32000),
        ("claude-opus-4-1-20250805", 32000),
        ("claude-sonnet-4-20250514", 64000),
        ("claude-sonnet-4-0", 64000),
        ("claude-opus-4-5-20251101", 64000),
        ("claude-haiku-4-5", 64000),
        ("claude-opus-4-6", 128000),
        ("claude-opus-4-8", 128000),
        ("claude-sonnet-5", 128000),
        ("claude-opus-6", 128000),
        ("some-other-model", 8192),
    ],
)
def test_a_limit_is_always_sent(model: str, most: int) -> None:
    """The model's own where neither the request nor the configuration has one."""
    assert body_of(chat_call(model))["max_tokens"] == most
    assert body_of(chat_call(model), max_tokens=77)["max_tokens"] == 77
    assert body_of(chat_call(model, max_tokens=5, max_completion_tokens=6), max_tokens=77)["max_tokens"] == 6


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "word"),
    [
        ("claude-sonnet-4-5", "none", None, None),
        ("claude-sonnet-4-5", "minimal", {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-sonnet-4-5", "high", {"type": "enabled", "budget_tokens": 24576}, None),
        ("claude-opus-4-6", "minimal", {"type": "adaptive", "display": "summarized"}, "low"),
        ("claude-opus-4-8", "none", None, None),
        ("claude-sonnet-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5", "xhigh", {"type": "adaptive", "display": "summarized"}, "xhigh"),
        ("claude-fable-5-1", "max", {"type": "adaptive", "display": "summarized"}, "max"),
        ("claude-3-haiku-20240307", "none", None, None),
    ],
)
def test_effort_is_told_as_the_model_takes_it(
    model: str, effort: str, thinking: Any, word: str | None
) -> None:
    """Older ones by a budget, newer ones by a word."""
    sent = body_of(chat_call(model, reasoning_effort=effort))
    assert sent.get("thinking") == thinking
    assert sent.get("output_config", {}).get("effort") == word


@pytest.mark.parametrize(
    ("model", "effort"),
    [("claude-3-haiku-20240307", "low"), ("claude-fable-5", "none"), ("claude-opus-5-5", "none")],
)
def test_effort_that_a_model_has_not_is_refused(model: str, effort: str) -> None:
    """Old ones never think, the newest always do."""
    with pytest.raises(GatewayError) as raised:
        body_of(chat_call(model, reasoning_effort=effort))
    assert raised.value.param == "reasoning_effort"


def test_a_budget_leaves_room_for_the_answer() -> None:
    """It is less than max_tokens in any case."""
    for most in (1025, 2000, 5000):
        sent = body_of(chat_call(reasoning_effort="max", max_completion_tokens=most))
        assert 1024 <= sent["thinking"]["budget_tokens"] < most


def test_newer_models_and_versions_sample_in_their_own_way() -> None:
    """They take no temperature but 1, which asks for nothing."""
    for model, settings in (("claude-opus-4-8", {}), (MODEL, {"version": "2026-10-21"})):
        assert "temperature" not in body_of(chat_call(model, temperature=1, top_p=1), **settings)
        with pytest.raises(GatewayError) as raised:
            body_of(chat_call(model, temperature=0), **settings)
        assert raised.value.param == "temperature"


def test_a_loop_begun_without_thoughts_goes_on_without_them() -> None:
    """A client that does not keep them still gets an answer, and learns what was left out."""
    called = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [called]}
    result = {"role": "tool", "tool_call_id": "1", "content": "12:00"}
    call = chat_call(messages=[USER, said, result], tools=[TOOL], reasoning_effort="low")
    assert "thinking" not in body_of(call)
    assert call.dropped == ["reasoning_content", "reasoning_effort"]
    newer = chat_call("claude-opus-4-6", messages=[USER, said, result], tools=[TOOL], reasoning_effort="low")
    assert body_of(newer)["thinking"]["type"] == "adaptive"


def test_a_prefill_ends_without_space() -> None:
    """The API refuses it, and the model continues the text anyway."""
    messages = [USER, {"role": "assistant", "content": "The answer is "}]
    assert body_of(chat_call(messages=messages))["messages"][1]["content"] == "The answer is"


def test_allowed_tools_are_the_only_ones_sent() -> None:
    """The API has no narrower choice than all or one."""
    other = {"type": "function", "function": {"name": "then"}}
    choice = {"mode": "required", "tools": [{"type": "function", "function": {"name": "then"}}]}
    sent = body_of(
        chat_call(tools=[TOOL, other], tool_choice={"type": "allowed_tools", "allowed_tools": choice})
    )
    assert [tool["name"] for tool in sent["tools"]] == ["then"]
    assert sent["tool_choice"] == {"type": "any"}


def test_a_native_tool_choice_goes_as_it_is() -> None:
    """In the API's own words."""
    choice = {"type": "tool", "name": "now", "disable_parallel_tool_use": True}
    assert body_of(chat_call(tools=[TOOL], tool_choice=choice))["tool_choice"] == choice


def test_answers_come_back_as_they_were() -> None:
    """Blocks that OpenAI's shape cannot hold replace the text that they were told as."""
    golden = json.loads((WIRE / "answers/web_search.openai.json").read_bytes())["choices"][0]["message"]
    sent = body_of(chat_call(messages=[USER, golden, USER]))
    assert (
        sent["messages"][1]["content"]
        == json.loads((WIRE / "answers/web_search.json").read_bytes())["content"]
    )


def test_native_tools_go_as_they_are() -> None:
    """Also those that have no name."""
    toolset = {"type": "mcp_toolset", "mcp_server_name": "a"}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    assert body_of(chat_call(tools=[toolset, search]))["tools"] == [toolset, search]


def test_a_choice_that_is_dropped_keeps_its_calls_apart() -> None:
    """What else it says still holds."""
    call = chat_call(tools=[TOOL], tool_choice="required", parallel_tool_calls=False, reasoning_effort="low")
    sent = body_of(replace(call, drop_unsupported=True))
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_own_members_do_not_change_model_messages_and_stream() -> None:
    """Those are the gateway's."""
    call = chat_call()
    call.params.extra_json = '{"model":"x","messages":[],"stream":true,"top_k":1}'
    assert body_of(call) == {"model": MODEL, "messages": [USER], "max_tokens": 64000, "top_k": 1}


def test_empty_texts_among_carried_blocks_are_left_out() -> None:
    """The API answers with them and refuses them."""
    blocks = [{"type": "text", "text": ""}, {"type": "compaction", "content": "So far."}]
    said = {"role": "assistant", "content": "", "content_blocks": blocks}
    assert body_of(chat_call(messages=[USER, said, USER]))["messages"][1]["content"] == blocks[1:]
