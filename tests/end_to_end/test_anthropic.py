"""The dialect anthropic through a whole gateway: OpenAI's SDK in front, llama.cpp's /v1/messages behind."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.support.engine import MODEL, Engine
from tests.support.gateway import Gateway
from tests.support.replay import replay
from tests.support.shared import shared

CONFIG = """
backends:
  claude: {{dialect: anthropic, url: '{url}', models: [{models}]}}
"""

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo"]}},
            "required": ["city"],
        },
    },
}
HELLO: Any = {"role": "user", "content": "print the list"}


@pytest.fixture
def sdk(running_engine: Engine, gateways: Callable[[str], Gateway]) -> Iterator[openai.OpenAI]:
    """A client of a gateway whose backend is the engine, by the other of its dialects."""
    url = running_engine.url.removesuffix("/v1")
    with gateways(CONFIG.format(url=url, models=MODEL)).sdk() as client:
        yield client


def test_a_real_server_answers_whole_and_streamed(sdk: openai.OpenAI) -> None:
    """The same text; usage, finish reason and id are the server's own."""
    asked: Any = {"model": f"claude/{MODEL}", "messages": [HELLO], "temperature": 0, "max_tokens": 12}
    whole = sdk.chat.completions.create(**asked)
    chunks = list(sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].message.content == text != ""
    assert whole.choices[0].finish_reason == "length"
    assert whole.model == f"claude/{MODEL}"
    assert whole.created > 0
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 12
    # The server found the second prompt in its cache.
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert len(chunks) > 5


def test_a_real_server_calls_a_tool_and_takes_its_result(sdk: openai.OpenAI) -> None:
    """A loop of two turns, as the SDK's users write it."""
    asked: Any = {"model": f"claude/{MODEL}", "tools": [WEATHER], "temperature": 0}
    first = sdk.chat.completions.create(
        **asked, messages=[HELLO], tool_choice="required", max_tokens=400
    ).choices[0]
    # The tiny model may go on with blanks after its call until the limit ends it.
    assert first.finish_reason in ("tool_calls", "length")
    assert first.message.tool_calls
    call = first.message.tool_calls[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments)["city"] in ("Rome", "Oslo")
    said: Any = first.message.to_dict()
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    second = sdk.chat.completions.create(**asked, messages=[HELLO, said, result], max_tokens=5)
    assert second.usage is not None
    assert second.usage.prompt_tokens > 0


def test_a_refusal_by_name_reaches_the_sdk(sdk: openai.OpenAI) -> None:
    """As its own error, with the parameter and the backend."""
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model=f"claude/{MODEL}", messages=[HELLO], seed=1)
    assert raised.value.param == "seed"
    assert "claude" in raised.value.message


def test_signatures_of_thinking_reach_the_sdk(gateways: Callable[[str], Gateway]) -> None:
    """In the stream of a recorded answer, whose thinking has one."""
    shared("corpus", "anthropic")
    case = "test-fixed-version-tool-chain-with-thinking-display-regressi-739625"
    with (
        replay("anthropic") as url,
        gateways(CONFIG.format(url=f"{url}/@{case}", models="claude-x")).sdk() as sdk,
    ):
        asked: Any = {"model": "claude/claude-x", "messages": [HELLO], "stream": True}
        deltas = [choice.delta for chunk in sdk.chat.completions.create(**asked) for choice in chunk.choices]
    told: Any = [detail for delta in deltas for detail in getattr(delta, "reasoning_details", None) or ()]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert [detail["text"] for detail in told] == [thought]
    assert told[0]["signature"]
