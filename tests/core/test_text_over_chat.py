"""A text completion asked of a chat, and a chat's answer told as text."""

from typing import Any

import pytest

from portico.errors import GatewayError
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChatCompletionParams, StreamOptions
from portico.v1.completions_pb2 import (
    TextChoice,
    TextCompletion,
    TextCompletionParams,
    TextInput,
    TextList,
    TokenList,
)
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico_core.text_over_chat import REFUSED, SHARED, answered, asked

ONE = TextInput(text="Hi")


def test_every_parameter_is_taken_over_or_refused() -> None:
    """A new field of the contract needs a decision here."""
    fields = {field.name for field in TextCompletionParams.DESCRIPTOR.fields}
    assert fields == {*SHARED, *REFUSED, "prompt"}


@pytest.mark.parametrize("prompt", [ONE, TextInput(texts=TextList(values=["Hi"]))])
def test_one_prompt_of_text_is_a_users_message(prompt: TextInput) -> None:
    """The parameters that both have keep their values; what asks for nothing is left out."""
    shared: dict[str, Any] = {
        "model": "m",
        "max_tokens": 5,
        "temperature": 0.5,
        "stop": ["x"],
        "stop_is_text": True,
        "n": 2,
        "seed": 1,
        "logit_bias": {"5": -1},
        "stream_options": StreamOptions(include_usage=True),
        "extra_json": '{"top_k": 3}',
    }
    params = TextCompletionParams(prompt=prompt, echo=False, suffix="", best_of=1, **shared)
    assert asked(params) == ChatCompletionParams(messages=[ChatMessage(role="user", content="Hi")], **shared)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        (TextCompletionParams(prompt=ONE, echo=True), "echo"),
        (TextCompletionParams(prompt=ONE, suffix="x"), "suffix"),
        (TextCompletionParams(prompt=ONE, best_of=2), "best_of"),
        (TextCompletionParams(prompt=ONE, logprobs=0), "logprobs"),
        (TextCompletionParams(prompt=TextInput(tokens=TokenList(values=[1]))), "prompt"),
        (TextCompletionParams(prompt=TextInput(texts=TextList(values=["a", "b"]))), "prompt"),
        (TextCompletionParams(prompt=TextInput(other_json="{}")), "prompt"),
        (TextCompletionParams(model="m", prompt=ONE, extra_json='{"messages": []}'), "messages"),
        (TextCompletionParams(model="m", prompt=ONE, extra_json='{"tools": []}'), "tools"),
    ],
)
def test_what_a_chat_cannot_do_is_refused_by_name(params: TextCompletionParams, param: str) -> None:
    """Nothing is dropped in silence, and nothing slips past validation."""
    with pytest.raises(GatewayError) as refused:
        asked(params)
    assert (refused.value.http_status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(content="ab"),
        ChatMessage(content_parts=[ContentPart(type="text", text="a"), ContentPart(type="text", text="b")]),
        ChatMessage(refusal="ab"),
        ChatMessage(content="ab", reasoning_content="because"),
    ],
)
def test_what_the_model_wrote_is_the_text(message: ChatMessage) -> None:
    """In whichever member it wrote it; reasoning is no part of it."""
    chat = ChatCompletion(
        id="c", created=1, object="chat.completion", choices=[ChatChoice(index=1, message=message)]
    )
    assert answered(chat) == TextCompletion(id="c", created=1, choices=[TextChoice(index=1, text="ab")])
