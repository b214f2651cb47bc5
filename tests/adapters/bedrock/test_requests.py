"""Chat requests: OpenAI's JSON in, Converse's out, and what is refused by name."""

import dataclasses
import functools
import json
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat
from portico_adapters.bedrock.chat_request import chat_body
from portico_adapters.bedrock.names import DocumentNames, tool_use_id
from tests.adapters.bedrock.fixtures import MODEL, WIRE, chat_call

REQUESTS = sorted(WIRE.glob("requests/*.json"))

TOOL = {"type": "function", "function": {"name": "now"}}
CALLED = [
    {"role": "user", "content": "Hi"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "c", **TOOL, "function": {"name": "now", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "12"},
]


@functools.cache
def _shape() -> Any:
    session = boto3.Session("k", "s", region_name="us-east-1")
    return session.client("bedrock-runtime").meta.service_model.operation_model("Converse").input_shape


def errors_in(body: dict[str, Any]) -> str:
    """Return what AWS's own SDK finds wrong with a request."""
    report: str = ParamValidator().validate({"modelId": MODEL, **body}, _shape()).generate_report()
    return report


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_a_request_becomes_converses(file: Any) -> None:
    """Member by member; what the golden body lacks is not sent. AWS's SDK would send the same."""
    case = json.loads(file.read_bytes())
    params, _ = parse_chat(json.dumps(case["openai"]).encode())
    before = params.SerializeToString(deterministic=True)
    sent = chat_body(UpstreamCall(params, MODEL))
    assert _exact(sent) == _exact(json.dumps(case["converse"]).encode())
    assert not errors_in(json.loads(sent))
    assert params.SerializeToString(deterministic=True) == before


def _exact(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


def test_texts_of_json_go_out_as_they_came_in() -> None:
    """Schemas and arguments keep the order of members, escapes and numbers of any size."""
    text = '{"z":1e400,"a":-0.0,"n":123456789012345678901234567890,"t":"\\u0041","type":"object"}'
    body = (
        '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function",'
        f'"function":{{"name":"f","arguments":{json.dumps(text)}}}}}]}}],'
        f'"response_format":{{"type":"json_schema","json_schema":{{"name":"s","schema":{text}}}}}}}'
    )
    sent = chat_body(UpstreamCall(parse_chat(body.encode())[0], MODEL))
    assert f'"input":{text}'.encode() in sent
    assert f'"schema":{json.dumps(text)}'.encode() in sent


def _with(part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


# What may be left out instead, where the model's configuration says so.
PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "several answers": ({"n": 2}, "n"),
    "a seed": ({"seed": 1}, "seed"),
    "penalties": ({"frequency_penalty": 1}, "frequency_penalty"),
    "biases": ({"logit_bias": {"1": 1}}, "logit_bias"),
    "log probabilities": ({"logprobs": True}, "logprobs"),
    "storing": ({"store": True}, "store"),
    "verbosity": ({"verbosity": "low"}, "verbosity"),
    "spoken answers": ({"modalities": ["text", "audio"]}, "modalities"),
    "a prediction": ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
    "a search of the web": ({"web_search_options": {}}, "web_search_options"),
    "an unknown effort": ({"reasoning_effort": "tiny"}, "reasoning_effort"),
    "an unknown tier": ({"service_tier": "scale"}, "service_tier"),
    "one call at a time": ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
    "JSON without a schema": ({"response_format": {"type": "json_object"}}, "response_format"),
    "no tools after calls": ({"tools": [TOOL], "tool_choice": "none", "messages": CALLED}, "tool_choice"),
    "a custom tool's choice": (
        {"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "x"}}},
        "tool_choice",
    ),
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a custom tool": ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
    "an unknown role": ({"messages": [{"role": "critic", "content": "x"}]}, "messages[0].role"),
    "a remote image": (
        _with({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}),
        "messages[0].content[0].image_url.url",
    ),
    "an image of another type": (
        _with({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk0="}}),
        "messages[0].content[0].image_url.url",
    ),
    "an uploaded file": (
        _with({"type": "file", "file": {"file_id": "file-1"}}),
        "messages[0].content[0].file.file_id",
    ),
    "an unknown part": (_with({"type": "hologram"}), "messages[0].content[0]"),
    "audio in the history": (
        {"messages": [{"role": "assistant", "audio": {"id": "a"}}]},
        "messages[0].audio",
    ),
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a file of a type that nobody tells": (
        _with({"type": "file", "file": {"file_data": "QUJD", "filename": "x"}}),
        "messages[0].content[0].file.filename",
    ),
    "arguments that are no object": (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1"}}
                    ],
                }
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
    "details that are no list": (
        {"messages": [{"role": "assistant", "content": "x", "reasoning_details": {"type": 1}}]},
        "messages[0].reasoning_details",
    ),
    "blocks that are no list": (
        {"messages": [{"role": "assistant", "content": "x", "content_blocks": 3}]},
        "messages[0].content_blocks",
    ),
    "own members that cannot be put together": ({"max_tokens": 1, "inferenceConfig": 3}, "inferenceConfig"),
}


@pytest.mark.parametrize("case", PARAMETERS | REFUSED | WRONG)
def test_what_cannot_be_done_is_refused_by_name(case: str) -> None:
    """With the member, and the backend's name."""
    members, param = (PARAMETERS | REFUSED | WRONG)[case]
    with pytest.raises(GatewayError) as raised:
        chat_body(chat_call(**members))
    assert (raised.value.http_status, raised.value.param) == (400, param)
    if case not in WRONG:
        assert raised.value.code == "unsupported_parameter"
        assert " aws " in raised.value.message


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_are_left_out_where_the_configuration_says_so(case: str) -> None:
    """And named; the rest is a request."""
    members, param = PARAMETERS[case]
    call = dataclasses.replace(chat_call(**members), drop_unsupported=True)
    assert not errors_in(json.loads(chat_body(call)))
    assert call.dropped == [param]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (
            "openai.gpt-oss-120b-1:0",
            {"additionalModelRequestFields": {"top_k": 4, "reasoning_effort": "low"}},
        ),
        ("qwen.qwen3-32b-v1:0", {"additionalModelRequestFields": {"top_k": 4, "reasoning_config": "low"}}),
        (
            "us.anthropic.claude-sonnet-4-6",
            {"additionalModelRequestFields": {"top_k": 4}, "outputConfig": {"effort": "low"}},
        ),
        (
            "us.amazon.nova-2-lite-v1:0",
            {
                "additionalModelRequestFields": {
                    "top_k": 4,
                    "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
                }
            },
        ),
        (
            MODEL,
            {
                "additionalModelRequestFields": {
                    "top_k": 4,
                    "thinking": {"type": "enabled", "budget_tokens": 1024},
                },
                "inferenceConfig": {"maxTokens": 32000},
            },
        ),
    ],
)
def test_effort_stands_where_the_model_reads_it(model: str, body: dict[str, Any]) -> None:
    """Beside what the caller says in the model's own words."""
    call = chat_call(reasoning_effort="minimal", additionalModelRequestFields={"top_k": 4})
    sent = json.loads(chat_body(dataclasses.replace(call, model=model)))
    assert {name: sent[name] for name in sent if name != "messages"} == body


BUDGET = "anthropic.claude-opus-4-20250514-v1:0"


@pytest.mark.parametrize(
    ("model", "asked", "fields"),
    [
        (
            MODEL,
            {"top_k": 4, "thinking": {"type": "disabled"}},
            {"top_k": 4, "thinking": {"type": "disabled"}},
        ),
        (MODEL, {"top_k": 4, "additionalModelRequestFields": {"top_k": 5}}, {"top_k": 5}),
        ("us.amazon.nova-lite-v1:0", {"top_k": 4}, {"inferenceConfig": {"topK": 4}}),
    ],
)
def test_a_models_own_members_go_to_the_model(
    model: str, asked: dict[str, Any], fields: dict[str, Any]
) -> None:
    """Converse refuses them beside its own, which stay where they are."""
    call = dataclasses.replace(chat_call(performanceConfig={"latency": "optimized"}, **asked), model=model)
    body = json.loads(chat_body(call))
    assert body["additionalModelRequestFields"] == fields
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert not asked.keys() - {"additionalModelRequestFields"} & body.keys()


def test_labels_that_aws_refuses_are_left_out_and_named() -> None:
    """The others go."""
    call = chat_call(metadata={"team": "a", "bad|key": "b"})
    assert json.loads(chat_body(call))["requestMetadata"] == {"team": "a"}
    assert call.dropped == ["metadata"]


@pytest.mark.parametrize(
    ("effort", "limit", "budget"),
    [("low", None, 4096), ("high", 20000, 10000), ("medium", 1500, 1024), ("max", None, 16000)],
)
def test_a_budget_leaves_tokens_for_the_answer(effort: str, limit: int | None, budget: int) -> None:
    """Half of them, where that is enough to think at all."""
    asked = chat_call(reasoning_effort=effort, **({"max_tokens": limit} if limit else {}))
    sent = json.loads(chat_body(dataclasses.replace(asked, model=BUDGET)))
    assert sent["additionalModelRequestFields"]["thinking"]["budget_tokens"] == budget
    assert sent["inferenceConfig"]["maxTokens"] == (limit or 32000)


@pytest.mark.parametrize(
    ("model", "members", "param"),
    [
        (BUDGET, {"temperature": 0}, "temperature"),
        (BUDGET, {"top_p": 0.9}, "top_p"),
        (BUDGET, {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        (BUDGET, {"max_tokens": 1024}, "reasoning_effort"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", {}, "reasoning_effort"),
        ("anthropic.claude-v2:1", {}, "reasoning_effort"),
        ("us.amazon.nova-pro-v1:0", {}, "reasoning_effort"),
        ("us.amazon.nova-2-lite-v1:0", {"reasoning_effort": "max"}, "reasoning_effort"),
    ],
)
def test_what_does_not_go_with_thinking_is_refused_or_dropped(
    model: str, members: dict[str, Any], param: str
) -> None:
    """By its name; what is left is a request."""
    call = dataclasses.replace(chat_call(**{"reasoning_effort": "high", **members}), model=model)
    with pytest.raises(GatewayError) as raised:
        chat_body(call)
    assert raised.value.param == param
    dropping = dataclasses.replace(call, drop_unsupported=True, dropped=[])
    sent = json.loads(chat_body(dropping))
    assert dropping.dropped == [param]
    assert not sent.get("inferenceConfig", {}).keys() & {"temperature", "topP"}
    assert "toolChoice" not in sent.get("toolConfig", {})


def test_a_tool_loop_without_its_thoughts_goes_on_without_thinking() -> None:
    """As Claude refuses to think where the turn did not begin so; the caller is told."""
    call = dataclasses.replace(chat_call(messages=CALLED[:3], reasoning_effort="low"), model=BUDGET)
    assert "additionalModelRequestFields" not in json.loads(chat_body(call))
    assert call.dropped == ["reasoning_effort"]


def test_results_come_first_in_their_turn() -> None:
    """Even where the user said something before them."""
    said = [*CALLED[:2], {"role": "user", "content": "And?"}, CALLED[2]]
    (_, _, turn) = json.loads(chat_body(chat_call(messages=said)))["messages"]
    assert [next(iter(block)) for block in turn["content"]] == ["toolResult", "text"]


def test_thoughts_that_did_not_come_back_are_noted() -> None:
    """The turn goes without them."""
    call = chat_call(messages=[{"role": "assistant", "content": "4", "reasoning_content": "2+2"}])
    assert json.loads(chat_body(call))["messages"] == [{"role": "assistant", "content": [{"text": "4"}]}]
    assert call.dropped == ["reasoning_content"]


def test_documents_have_names_that_converse_takes() -> None:
    """Each one its own, and none longer than it may be."""
    names = DocumentNames()
    told = ["a.pdf", "a.pdf", "a.txt", "ä/b  c_.tar.gz", "", "漢字.md", "x" * 300, "x" * 300]
    found = [names.take(name) for name in told]
    assert found[:6] == ["a", "a (2)", "a (3)", "b c tar", "document", "document (2)"]
    assert [len(name) for name in found[6:]] == [200, 200]
    assert len(set(found)) == len(found)


def test_ids_of_tool_calls_keep_apart() -> None:
    """Those that differ in what Converse refuses alone."""
    ids = ["", "a b", "a_b", "a/b", "x" * 64, "x" * 65, "x" * 66]
    found = [tool_use_id(id_) for id_ in ids]
    assert len(set(found)) == len(ids)
    assert found[2] == "a_b"
    assert found[4] == "x" * 64
    assert all(1 <= len(id_) <= 64 for id_ in found)
