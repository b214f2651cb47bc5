"""Anthropic's official SDK as judge of its dialect."""

import re
import warnings
from typing import Any, Final

import anthropic

from tests.recorded.kinds import MODEL, Kind
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed
from tests.support.corpus import Case

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# Errors in mid-stream tell by their type what the status would.
_STATUS_BY_TYPE: Final = {"overloaded_error": 529, "rate_limit_error": 429, "invalid_request_error": 400}

_TOO_LONG: Final = re.compile("prompt is too long")
_NO_MONEY: Final = re.compile("credit balance")


def judge(url: str, case: Case, kind: Kind) -> Outcome:
    """Return what the SDK makes of a case."""
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=30) as sdk:
        try:
            return _CALLS[kind](sdk, case)
        except anthropic.APIStatusError as error:
            return _failed(error)
        except (anthropic.APIError, anthropic.AnthropicError):
            return broken()


def _chat(sdk: anthropic.Anthropic, case: Case) -> Outcome:
    asked: Any = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    if not case.stream:
        return _outcome(sdk.messages.create(**asked))
    with sdk.messages.stream(**asked) as stream, warnings.catch_warnings():
        # What is newer than the SDK's types it says in warnings.
        warnings.simplefilter("ignore")
        for event in stream:
            # Nothing that follows is of this answer: some recordings hold several, one after the other.
            if event.type == "message_stop":
                return _outcome(stream.current_message_snapshot)
    return broken()


def _outcome(message: anthropic.types.Message) -> Outcome:
    blocks: Any = message.content
    text = "".join(block.text for block in blocks if block.type == "text")
    thought = "".join(block.thinking for block in blocks if block.type == "thinking")
    calls = tuple((block.name, block.input) for block in blocks if block.type == "tool_use")
    details = message.stop_details
    refusal = (details.explanation or "") if message.stop_reason == "refusal" and details else ""
    finish = _FINISH[message.stop_reason] if message.stop_reason else None
    return Outcome((Choice(text, thought, refusal, calls, finish),), _usage(message.usage))


def _usage(usage: anthropic.types.Usage) -> Usage:
    cached = usage.cache_read_input_tokens or 0
    prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
    details = usage.output_tokens_details
    return Usage(prompt, usage.output_tokens, cached, details.thinking_tokens or 0 if details else 0)


def _models(sdk: anthropic.Anthropic, _: Case) -> Outcome:
    return Outcome(models=tuple(model.id for model in sdk.models.list()))


_CALLS: Final = {Kind.CHAT: _chat, Kind.MODELS: _models}


def _failed(error: anthropic.APIStatusError) -> Outcome:
    status = error.status_code
    if status == 200:
        status = _STATUS_BY_TYPE.get(error.type or "", 500)
    message = str(error.body)
    if status == 400 and _NO_MONEY.search(message):
        status = 402
    code = "context_length_exceeded" if status in (400, 413) and _TOO_LONG.search(message) else None
    return failed(status, code)
