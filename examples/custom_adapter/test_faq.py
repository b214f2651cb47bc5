"""The FAQ adapter: Portico's contract suite, and what is special here."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from portico_adapter_faq import MODEL, FaqAdapter, FaqSettings

from portico.adapter import Adapter, Limits, UpstreamCall
from portico.errors import GatewayError
from portico.testing.contract import AdapterContract, Exchange
from portico.v1.chat_pb2 import ChatChoice, ChatCompletionParams, ResponseFormat
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.tools_pb2 import Tool

RULES = {"opening hours|open on": "From 9 to 17.", "refund": "Within five working days."}


def _adapter() -> FaqAdapter:
    return FaqAdapter("help", FaqSettings(RULES), Limits())


def _call(question: str = "A refund?", model: str = MODEL, **params: Any) -> UpstreamCall:
    messages = [ChatMessage(role="user", content=question)]
    return UpstreamCall(ChatCompletionParams(messages=messages, **params), model)


def _ask(call: UpstreamCall) -> ChatChoice:
    return asyncio.run(_adapter().chat(call)).completion.choices[0]


class TestContract(AdapterContract):
    """What holds for every adapter."""

    exchanges = (Exchange(_call()), Exchange(_call(max_tokens=2)))

    def make_adapter(self, url: str) -> Adapter:
        """Return an adapter; it has no server."""
        return _adapter()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Are you OPEN ON Sunday?", "From 9 to 17."),
        ("How do I get a refund?", "Within five working days."),
        ("Who are you?", "I do not know."),
    ],
)
def test_the_first_rule_that_fits_answers(question: str, answer: str) -> None:
    assert _ask(_call(question)).message.content == answer


def test_stop_and_max_tokens_cut_the_answer() -> None:
    assert _ask(_call(stop=["five"])).message.content == "Within "
    cut = _ask(_call(max_tokens=2))
    assert (cut.message.content, cut.finish_reason) == ("Within five ", "length")


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"tools": [Tool(type="function")]}, "tools"),
        ({"response_format": ResponseFormat(type="json_object")}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"n": 2}, "n"),
    ],
)
def test_what_rules_cannot_do_is_refused_by_name(params: dict[str, Any], name: str) -> None:
    with pytest.raises(GatewayError) as refused:
        _ask(_call(**params))
    assert (refused.value.http_status, refused.value.param) == (400, name)


def test_what_rules_cannot_do_is_left_out_where_the_model_says_so() -> None:
    lenient = replace(_call(logprobs=True, n=2), drop_unsupported=True)
    assert _ask(lenient).message.content == RULES["refund"]
    assert lenient.dropped == ["logprobs", "n"]


def test_an_image_is_refused_where_it_stands() -> None:
    parts = [ContentPart(type="text", text="What is this?"), ContentPart(type="image_url")]
    params = ChatCompletionParams(messages=[ChatMessage(role="user", content_parts=parts)])
    with pytest.raises(GatewayError) as refused:
        _ask(UpstreamCall(params, MODEL))
    assert refused.value.param == "messages[0].content[1]"


def test_what_asks_for_nothing_is_no_obstacle() -> None:
    assert _ask(_call(logprobs=False, response_format=ResponseFormat(type="text"), n=1))


def test_another_model_is_unknown() -> None:
    with pytest.raises(GatewayError) as unknown:
        _ask(_call(model="other"))
    assert unknown.value.code == "model_not_found"


def test_a_wrong_pattern_is_told_with_the_members_name() -> None:
    with pytest.raises(ValueError, match=r"^rules: '\(' is not a regular expression"):
        FaqSettings({"(": "?"})
