"""OpenAI's official SDK as judge of its dialect, whoever speaks it."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import cerebras.cloud.sdk as cerebras
import groq
import openai

from tests.recorded.kinds import MODEL, Kind, encoding_of, texts_of
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed, parsed
from tests.support.corpus import Case

# SDKs that one generator made, so that they are called alike.
Client = openai.OpenAI | openai.AzureOpenAI | groq.Groq | cerebras.Cerebras
_ERRORS: Final = (openai.APIError, groq.APIError, cerebras.APIError)
_STATUS_ERRORS: Final = (openai.APIStatusError, groq.APIStatusError, cerebras.APIStatusError)

#: Returns the client that calls the replay server for a case.
Connect = Callable[[str, Case], Client]

# An error inside a 200, or in mid-stream, tells by its code or type what else the status would.
_STATUS_BY_WORD: Final = {"invalid_request_error": 400, "rate_limit_exceeded": 429}


# The finish reasons of Together, and of OpenAI's preview of images -> OpenAI's.
_FINISHES: Final = {"eos": "stop", "max_tokens": "length"}

# Azure's code -> OpenAI's.
_CODES: Final = {"DeploymentNotFound": "model_not_found"}

# What servers of the dialect say of a prompt that is too long, besides OpenAI's own code.
_TOO_LONG: Final = re.compile("context length|exceed_context_size|too_many_prompt_tokens|prompt too long")


def connect(url: str, _: Case) -> Client:
    """Return a client of the usual address."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=30)


def connect_groq(url: str, _: Case) -> Client:
    """Return Groq's own client."""
    return groq.Groq(base_url=url, api_key="k", max_retries=0, timeout=30)


def connect_cerebras(url: str, _: Case) -> Client:
    """Return Cerebras's own client, without the call with which it warms its connection up."""
    return cerebras.Cerebras(base_url=url, api_key="k", max_retries=0, timeout=30, warm_tcp_connection=False)


def judge(url: str, case: Case, kind: Kind, connect: Connect = connect) -> Outcome:
    """Return what the SDK makes of a case."""
    with connect(url, case) as sdk:
        try:
            return _CALLS[kind](sdk, case)
        except _STATUS_ERRORS as error:
            return _failed(error.status_code, error.body)
        except _ERRORS as error:
            return _failed(0, error.body)


def _chat(sdk: Any, case: Case) -> Outcome:
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": bool(case.stream)}
    answer: Any = sdk.chat.completions.create(**asked)
    if case.stream:
        return _assembled(answer)
    if not answer.choices:
        return _failed(0, getattr(answer, "error", None))
    return Outcome(tuple(_choice(each) for each in answer.choices), usage_of(answer.usage))


def _choice(choice: Any) -> Choice:
    message = choice.message
    if message is None:
        return Choice(finish_reason=_finish(choice))
    text, thought = texts(message)
    calls = [_called(call) for call in message.tool_calls or ()]
    if function := getattr(message, "function_call", None):
        calls.append((function.name, parsed(function.arguments)))
    refusal = getattr(message, "refusal", None) or ""
    return Choice(text, thought, refusal, tuple(calls), _finish(choice))


def _finish(choice: Any) -> str | None:
    details = getattr(choice, "finish_details", None) or {}
    told: str | None = choice.finish_reason or details.get("type")
    return _FINISHES.get(told, told) if told else None


def _called(call: Any) -> tuple[str, Any]:
    if call.type == "custom":
        return call.custom.name, call.custom.input
    return call.function.name, parsed(call.function.arguments)


def texts(message: Any) -> tuple[str, str]:
    """Return text and reasoning of a message or delta, under any of the names that servers give them."""
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    return message.content or "", thought


class _Piecewise:
    """One choice of a stream."""

    def __init__(self) -> None:
        self.text = self.reasoning = self.refusal = ""
        self.finish_reason: str | None = None
        #: By their index: name and arguments.
        self.calls: dict[int, list[str]] = {}
        #: Indexes of those whose arguments came, if only as an empty text.
        self._argued: set[int] = set()

    def add(self, choice: Any) -> None:
        self.finish_reason = _finish(choice) or self.finish_reason
        delta = choice.delta
        if delta is None:
            return
        text, thought = texts(delta)
        self.text += text
        self.reasoning += thought
        self.refusal += getattr(delta, "refusal", None) or ""
        for call in delta.tool_calls or ():
            self._call(call.index, call.function)
        if function := getattr(delta, "function_call", None):
            self._call(-1, function)

    def _call(self, index: int, function: Any) -> None:
        called = self.calls.setdefault(index or 0, ["", ""])
        if function:
            called[0] = function.name or called[0]
            called[1] += function.arguments or ""
            if function.arguments is not None:
                self._argued.add(index or 0)

    def choice(self) -> Choice:
        # A call whose arguments never came has none.
        calls = tuple(
            (name, parsed(arguments) if at in self._argued else {})
            for at, (name, arguments) in self.calls.items()
        )
        return Choice(self.text, self.reasoning, self.refusal, calls, self.finish_reason)


def _assembled(chunks: Iterable[Any]) -> Outcome:
    choices: dict[int, _Piecewise] = {}
    usage, came = None, False
    for chunk in chunks:
        came = True
        usage = usage_of(chunk.usage) or groqs_usage(chunk) or usage
        for choice in chunk.choices or ():
            choices.setdefault(choice.index or 0, _Piecewise()).add(choice)
    return Outcome(tuple(choices[at].choice() for at in sorted(choices)), usage) if came else broken()


def _text(sdk: Any, case: Case) -> Outcome:
    answer: Any = sdk.completions.create(model=MODEL, prompt="x", stream=bool(case.stream))
    texts: dict[int, str] = {}
    reasons: dict[int, str | None] = {}
    usage = None
    for piece in answer if case.stream else [answer]:
        usage = usage_of(piece.usage) or usage
        for choice in piece.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.text or "")
            reasons[choice.index] = _finish(choice) or reasons.get(choice.index)
    return Outcome(tuple(Choice(texts[at], finish_reason=reasons[at]) for at in sorted(texts)), usage)


def _embed(sdk: Any, case: Case) -> Outcome:
    asked: Any = {"model": MODEL, "input": texts_of(case), "encoding_format": encoding_of(case)}
    answer: Any = sdk.embeddings.create(**asked)
    # Asked for base64 in so many words, the SDK leaves it as it is.
    told = (each.embedding for each in answer.data)
    vectors = tuple(each if isinstance(each, str) else tuple(each) for each in told)
    return Outcome(usage=usage_of(answer.usage), vectors=vectors)


def _models(sdk: Any, _: Case) -> Outcome:
    return Outcome(models=tuple(model.id for model in sdk.models.list()))


_CALLS: Final = {Kind.CHAT: _chat, Kind.TEXT: _text, Kind.EMBEDDINGS: _embed, Kind.MODELS: _models}


def usage_of(usage: Any) -> Usage | None:
    """Return the counts in a ``usage``."""
    if usage is None:
        return None
    told = usage.model_extra or {}
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    # DeepSeek's and Moonshot's own names.
    cached = cached or told.get("prompt_cache_hit_tokens") or told.get("cached_tokens")
    reasoning = getattr(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", None)
    completion = getattr(usage, "completion_tokens", None)
    return Usage(usage.prompt_tokens or 0, completion or 0, cached or 0, reasoning or 0)


def groqs_usage(chunk: Any) -> Usage | None:
    """Return the counts that Groq puts beside the usual place."""
    return usage_of(getattr(getattr(chunk, "x_groq", None), "usage", None))


def _failed(status: int, body: object) -> Outcome:
    """Return the outcome of an error. ``status`` 0: it stood in an answer of status 200."""
    told = body if isinstance(body, dict) else {}
    words = [word for word in (told.get("code"), told.get("type")) if isinstance(word, str)]
    number = next((int(word) for word in (str(told.get("code")), *words) if word.isdigit()), 0)
    status = (
        status or number or next((_STATUS_BY_WORD[word] for word in words if word in _STATUS_BY_WORD), 502)
    )
    code = told.get("code") if isinstance(told.get("code"), str) and not number else None
    code = _CODES.get(code or "", code)
    if status == 404 and not code and told.get("message") == "Resource not found":
        code = "unknown_url"  # Azure's words for a path that it does not have
    if status == 400 and _TOO_LONG.search(str(body)):
        code = "context_length_exceeded"
    return failed(status, code, told.get("type"))
