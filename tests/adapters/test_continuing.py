"""Dialects in which an answer that was begun elsewhere can be continued."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from portico.adapter import Continues, Limits, Upstream
from portico.openai.requests import render_chat
from portico.secret import Secret
from portico_adapters.anthropic import AnthropicAdapter
from portico_adapters.anthropic.chat_request import chat_body as anthropic_body
from portico_adapters.anthropic.settings import AnthropicSettings
from portico_adapters.dummy import DummyAdapter
from portico_adapters.ollama import OllamaAdapter
from portico_adapters.ollama.chat_request import chat_body as ollama_body
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.support.core import params

ANTHROPIC = AnthropicSettings(api_key=Secret("k"))
OLLAMA = OllamaSettings(url="http://127.0.0.1:1")
OLDER, NEWER = "claude-sonnet-4-5", "claude-opus-4-6"


def openai(how: str | None) -> OpenAIAdapter:
    return OpenAIAdapter("o", OpenAISettings(url="http://127.0.0.1:1/v1", continues=how), Limits())


BODIES: dict[str, tuple[Any, str, Callable[[Any, str], bytes]]] = {
    "anthropic": (
        AnthropicAdapter("a", ANTHROPIC, Limits()),
        OLDER,
        lambda asked, model: anthropic_body(Upstream(asked, model), ANTHROPIC, stream=True),
    ),
    "ollama": (
        OllamaAdapter("l", OLLAMA, Limits()),
        "llama3.1",
        lambda asked, model: ollama_body(Upstream(asked, model), OLLAMA, stream=True),
    ),
    "llama.cpp": (
        openai("last_message"),
        "m",
        lambda asked, model: render_chat(asked, model=model, stream=True),
    ),
    "vllm": (
        openai("continue_final_message"),
        "m",
        lambda asked, model: render_chat(asked, model=model, stream=True),
    ),
}


@pytest.mark.parametrize(("adapter", "model", "body"), BODIES.values(), ids=BODIES)
def test_the_last_message_is_the_answer_as_it_was_begun(
    adapter: Any, model: str, body: Callable[[Any, str], bytes]
) -> None:
    given = params(extra_json='{"top_k":12345678901234567890}')
    asked = adapter.continued(given, model, "one two")
    assert asked is not None
    sent = json.loads(body(asked, model))
    last = sent["messages"][-1]
    text = last["content"] if isinstance(last["content"], str) else last["content"][0]["text"]
    assert (last["role"], text) == ("assistant", "one two")
    assert len(given.messages) == 1
    assert sent.get("top_k") == 12345678901234567890


def test_vllm_is_told_not_to_begin_a_turn() -> None:
    asked = openai("continue_final_message").continued(params(), "m", "one")
    assert asked is not None
    assert json.loads(asked.extra_json) == {"continue_final_message": True, "add_generation_prompt": False}


def test_who_cannot_says_so() -> None:
    anthropic = BODIES["anthropic"][0]
    assert anthropic.continued(params(), NEWER, "one") is None
    assert anthropic.continued(params(), OLDER, "one ") is None
    assert anthropic.continued(params(reasoning_effort="low"), OLDER, "one") is None
    assert openai(None).continued(params(), "m", "one") is None
    assert not isinstance(DummyAdapter, Continues)
    with pytest.raises(ValueError, match="continues: expected last_message or continue_final_message"):
        openai("prefix")
