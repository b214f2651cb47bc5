"""Mistral's official SDK as judge of its API, whose content may be a list."""

import json
from collections.abc import Iterable
from typing import Any, Final

from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from tests.recorded.kinds import MODEL, Kind, texts_of
from tests.recorded.outcome import Choice, Outcome, Usage, failed, parsed
from tests.support.corpus import Case


def judge(url: str, case: Case, kind: Kind) -> Outcome:
    """Return what the SDK makes of a case."""
    with Mistral(api_key="k", server_url=url, timeout_ms=30_000) as sdk:
        try:
            return _CALLS[kind](sdk, case)
        except MistralError as error:
            return failed(error.status_code)


def _chat(sdk: Mistral, case: Case) -> Outcome:
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    if case.stream:
        with sdk.chat.stream(**asked) as events:
            return _assembled(event.data for event in events)
    answer = sdk.chat.complete(**asked)
    choices = []
    for each in answer.choices:
        message = each.message
        assert message is not None
        text, thought = _texts(message.content)
        calls = [_called(call.function) for call in message.tool_calls or ()]
        choices.append(Choice(text, thought, tool_calls=tuple(calls), finish_reason=str(each.finish_reason)))
    return Outcome(tuple(choices), _usage(answer.usage))


def _assembled(chunks: Iterable[Any]) -> Outcome:
    """Join a stream of one choice; a tool call comes whole."""
    text = thought = ""
    calls, reason, usage = [], None, None
    for chunk in chunks:
        usage = _usage(chunk.usage) if chunk.usage else usage
        for choice in chunk.choices:
            told = _texts(choice.delta.content)
            text, thought = text + told[0], thought + told[1]
            calls += [_called(call.function) for call in choice.delta.tool_calls or ()]
            reason = str(choice.finish_reason) if choice.finish_reason else reason
    return Outcome((Choice(text, thought, tool_calls=tuple(calls), finish_reason=reason),), usage)


def _texts(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a message's or delta's content."""
    if not isinstance(content, list):
        return content or "", ""
    texts = (part.text for part in content if part.type == "text")
    thoughts = (piece.text for part in content if part.type == "thinking" for piece in part.thinking)
    return "".join(texts), "".join(thoughts)


def _called(function: Any) -> tuple[str, Any]:
    arguments = function.arguments
    return function.name, parsed(arguments if isinstance(arguments, str) else json.dumps(arguments))


def _embed(sdk: Mistral, case: Case) -> Outcome:
    answer = sdk.embeddings.create(model=MODEL, inputs=texts_of(case))
    vectors = tuple(tuple(each.embedding or ()) for each in answer.data)
    return Outcome(usage=_usage(answer.usage), vectors=vectors)


def _models(sdk: Mistral, _: Case) -> Outcome:
    listed: Any = sdk.models.list()
    return Outcome(models=tuple(model.id for model in listed.data))


_CALLS: Final = {Kind.CHAT: _chat, Kind.EMBEDDINGS: _embed, Kind.MODELS: _models}


def _usage(told: Any) -> Usage:
    extra = told.additional_properties or {}
    details = extra.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or extra.get("num_cached_tokens") or 0
    return Usage(told.prompt_tokens or 0, told.completion_tokens or 0, cached)
