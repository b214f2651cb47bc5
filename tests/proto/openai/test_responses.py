"""Unstreamed answers: what becomes of a body, literally and in general."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.openai.responses import parse_completion, render_completion
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChoiceLogprobs, TokenLogprob
from portico.v1.message_pb2 import Annotation, AssistantAudio, ChatMessage, ContentPart, UrlCitation
from portico.v1.tools_pb2 import FunctionCall, ToolCall
from portico.v1.usage_pb2 import CompletionTokensDetails, Usage, UsageSource
from tests.proto.openai.meaning import answered, meaning
from tests.proto.openai.strategies import anything, objects

thorough = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def test_an_answer_is_written_as_openai_writes_it() -> None:
    """Literally, with its nulls and its order of members."""
    completion = ChatCompletion(
        id="chatcmpl-1",
        created=1700000000,
        model="gpt-4o",
        choices=[ChatChoice(index=0, message=ChatMessage(content="Hi"), finish_reason="stop")],
        usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
        system_fingerprint="fp",
    )
    assert render_completion(completion).decode() == (
        '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o",'
        '"choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},'
        '"logprobs":null,"finish_reason":"stop"}],'
        '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"system_fingerprint":"fp"}'
    )


GOLDEN = {
    "tool calls": (
        """{"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {
            "role": "assistant", "content": null, "tool_calls": [
                {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{not json"}}]},
            "finish_reason": "tool_calls"}]}""",
        ChatCompletion(
            id="c",
            object="chat.completion",
            choices=[
                ChatChoice(
                    index=0,
                    message=ChatMessage(
                        role="assistant",
                        tool_calls=[
                            ToolCall(
                                id="t",
                                type="function",
                                function=FunctionCall(name="f", arguments="{not json"),
                            )
                        ],
                    ),
                    finish_reason="tool_calls",
                )
            ],
        ),
    ),
    "thinking in parts": (
        """{"object": "chat.completion", "choices": [{"index": 0, "message": {
            "role": "assistant", "content": [
                {"type": "thinking","thinking":[{"type":"text","text":"Hm"}]},
                {"type": "text", "text": "Hi"}]}}]}""",
        ChatCompletion(
            object="chat.completion",
            choices=[
                ChatChoice(
                    index=0,
                    message=ChatMessage(
                        role="assistant",
                        content_parts=[
                            ContentPart(
                                type="thinking", extra_json='{"thinking":[{"type":"text","text":"Hm"}]}'
                            ),
                            ContentPart(type="text", text="Hi"),
                        ],
                    ),
                )
            ],
        ),
    ),
    "log probabilities": (
        """{"object": "chat.completion", "choices": [{"index": 1, "logprobs": {"content": [
            {"token": "H", "logprob": -0.5, "bytes": [72, 255], "top_logprobs": [
                {"token": "J", "logprob": -9999, "bytes": null}]}]}}]}""",
        ChatCompletion(
            object="chat.completion",
            choices=[
                ChatChoice(
                    index=1,
                    logprobs=ChoiceLogprobs(
                        content=[
                            TokenLogprob(
                                token="H",
                                logprob=-0.5,
                                bytes=b"H\xff",
                                top_logprobs=[TokenLogprob(token="J", logprob=-9999)],
                            )
                        ]
                    ),
                )
            ],
        ),
    ),
    "usage that a gateway estimated": (
        """{"object": "chat.completion", "usage": {"total_tokens": 3, "source": "estimated"}}""",
        ChatCompletion(
            object="chat.completion",
            usage=Usage(total_tokens=3, source=UsageSource.USAGE_SOURCE_ESTIMATED),
        ),
    ),
    "usage from a source of a vendor's": (
        """{"object": "chat.completion", "usage": {"total_tokens": 3, "source": "unspecified"}}""",
        ChatCompletion(
            object="chat.completion", usage=Usage(total_tokens=3, extra_json='{"source":"unspecified"}')
        ),
    ),
    "oddities": (
        """{"object": "chat.completion", "created": "now", "model": 5, "citations": ["http://x"], "usage": {
            "prompt_tokens": 1.0,
            "total_tokens": "3", "completion_tokens_details": {"reasoning_tokens": 2}}}""",
        ChatCompletion(
            object="chat.completion",
            usage=Usage(
                prompt_tokens=1,
                completion_tokens_details=CompletionTokensDetails(reasoning_tokens=2),
                extra_json='{"total_tokens":"3"}',
            ),
            extra_json='{"created":"now","model":5,"citations":["http://x"]}',
        ),
    ),
}


@pytest.mark.parametrize(("body", "message"), GOLDEN.values(), ids=GOLDEN)
def test_an_answer_becomes_this_message_and_back(body: str, message: ChatCompletion) -> None:
    """Both directions, literally."""
    assert parse_completion(body.encode()) == message
    assert meaning(render_completion(message)) == meaning(body)


def test_half_an_escaped_surrogate_pair_arrives() -> None:
    """It fits no text field of the contract, but clients of other servers do get it."""
    body = '{"choices":[{"index":0,"message":{"content":"\\ud83d","role":"assistant"}}]}'
    assert '"content":"\\ud83d"' in render_completion(parse_completion(body.encode())).decode()


@thorough
@given(objects(ChatCompletion.DESCRIPTOR, True))
def test_any_answer_comes_out_as_it_went_in(body: dict[str, Any]) -> None:
    """Right or odd, at every depth, and over the wire between."""
    completion = parse_completion(json.dumps(body).encode())
    sent = ChatCompletion.FromString(completion.SerializeToString())
    assert meaning(render_completion(sent)) == answered(body)


@thorough
@given(st.binary(max_size=20) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_read_or_no_json_object(body: bytes) -> None:
    """Any other exception than ValueError would be a fault of ours."""
    try:
        completion = parse_completion(body)
    except ValueError:
        return
    assert isinstance(json.loads(body), dict)
    assert isinstance(json.loads(render_completion(completion)), dict)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"<html>", b'{"a":' * 100_000, b'{"\xff":1}', b'{"a":"\xff"}']
)
def test_what_is_no_json_object_is_a_value_error(body: bytes) -> None:
    """Bombs too."""
    with pytest.raises(ValueError, match=r"JSON|truncated|object|utf-8"):
        parse_completion(body)


def test_an_answer_has_what_openai_always_writes() -> None:
    """Of log probabilities, sources and speech; a provider's own class of service stands beside."""
    message = ChatMessage(
        audio=AssistantAudio(data="AA=="),
        annotations=[Annotation(type="url_citation", url_citation=UrlCitation(url="https://a.example"))],
    )
    token = TokenLogprob(token="a", logprob=-1, top_logprobs=[TokenLogprob(token="b", logprob=-2)])
    choice = ChatChoice(message=message, logprobs=ChoiceLogprobs(content=[token]))
    told = json.loads(render_completion(ChatCompletion(choices=[choice], service_tier="batch")))
    assert (told["service_tier"], told["native_service_tier"]) == ("default", "batch")
    (found,) = told["choices"]
    assert found["logprobs"] == {
        "content": [
            {
                "token": "a",
                "logprob": -1,
                "bytes": None,
                "top_logprobs": [{"token": "b", "logprob": -2, "bytes": None}],
            }
        ],
        "refusal": None,
    }
    assert found["message"]["audio"] == {"id": "", "expires_at": 0, "data": "AA==", "transcript": ""}
    assert found["message"]["annotations"][0]["url_citation"] == {
        "start_index": 0,
        "end_index": 0,
        "title": "",
        "url": "https://a.example",
    }
