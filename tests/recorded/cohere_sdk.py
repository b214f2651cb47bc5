"""Cohere's official SDK as judge of its API."""

from collections.abc import Iterable
from typing import Any, Final

import cohere
import httpx
from cohere.core.api_error import ApiError

from tests.recorded.kinds import MODEL, Kind, texts_of
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed, parsed
from tests.support.corpus import Case

_FINISH: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}


def judge(url: str, case: Case, kind: Kind) -> Outcome:
    """Return what the SDK makes of a case."""
    with httpx.Client(timeout=30) as http:
        sdk = cohere.ClientV2("k", base_url=url, httpx_client=http, max_retries=0)
        try:
            return _CALLS[kind](sdk, case)
        except ApiError as error:
            return _failed(error)


def _failed(error: ApiError) -> Outcome:
    """498 is a word on Cohere's deny list."""
    if error.status_code == 498:
        return failed(400, "content_filter")
    too_long = error.status_code == 400 and "too many tokens" in str(error.body)
    return failed(error.status_code or 502, "context_length_exceeded" if too_long else None)


def _chat(sdk: cohere.ClientV2, case: Case) -> Outcome:
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    if case.stream:
        return _assembled(sdk.chat_stream(**asked))
    answer: Any = sdk.chat(**asked)
    if answer.finish_reason not in _FINISH:
        return broken()
    message, blocks = answer.message, answer.message.content or ()
    choice = Choice(
        text="".join(block.text for block in blocks if block.type == "text"),
        reasoning="".join(block.thinking for block in blocks if block.type == "thinking")
        + (message.tool_plan or ""),
        tool_calls=tuple(
            _called(call.function.name, call.function.arguments) for call in message.tool_calls or ()
        ),
        finish_reason=_FINISH[answer.finish_reason],
    )
    return Outcome((choice,), _usage(answer.usage))


def _assembled(events: Iterable[Any]) -> Outcome:
    text = reasoning = ""
    calls: list[list[str]] = []
    for event in events:
        delta: Any = getattr(event, "delta", None)
        message: Any = getattr(delta, "message", None)
        match event.type:
            case "content-start" | "content-delta":
                text += message.content.text or ""
                reasoning += message.content.thinking or ""
            case "tool-plan-delta":
                reasoning += message.tool_plan or ""
            case "tool-call-start":
                calls.append([message.tool_calls.function.name, message.tool_calls.function.arguments or ""])
            case "tool-call-delta":
                calls[-1][1] += message.tool_calls.function.arguments or ""
            case "message-end":
                if event.delta.finish_reason not in _FINISH:
                    return broken()
                told = tuple(_called(name, arguments) for name, arguments in calls)
                reason = _FINISH[event.delta.finish_reason]
                choice = Choice(text, reasoning, tool_calls=told, finish_reason=reason)
                return Outcome((choice,), _usage(event.delta.usage))
    return broken()


def _called(name: str, arguments: str | None) -> tuple[str, Any]:
    """A tool that takes nothing is called with no arguments, or with null."""
    return name, parsed(arguments or "{}") or {}


def _usage(told: Any) -> Usage | None:
    if told is None or told.tokens is None:
        return None
    tokens = told.tokens
    return Usage(int(tokens.input_tokens or 0), int(tokens.output_tokens or 0), int(told.cached_tokens or 0))


def _embed(sdk: cohere.ClientV2, case: Case) -> Outcome:
    answer = sdk.embed(
        model=MODEL, texts=texts_of(case), input_type="search_document", embedding_types=["float"]
    )
    billed = answer.meta.billed_units if answer.meta else None
    usage = Usage(prompt=int(billed.input_tokens or 0)) if billed else None
    return Outcome(usage=usage, vectors=tuple(tuple(each) for each in answer.embeddings.float_ or ()))


def _models(sdk: cohere.ClientV2, _: Case) -> Outcome:
    listed = sdk.models.list().models
    return Outcome(
        models=tuple(each.name or "" for each in listed if {"chat", "embed"} & set(each.endpoints or ()))
    )


_CALLS: Final = {Kind.CHAT: _chat, Kind.EMBEDDINGS: _embed, Kind.MODELS: _models}
