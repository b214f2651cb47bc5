"""Ollama's official client as judge of its own API."""

from typing import Any, Final

import ollama

from tests.recorded.kinds import MODEL, Kind, texts_of
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed
from tests.support.corpus import Case


def judge(url: str, case: Case, kind: Kind) -> Outcome:
    """Return what the client makes of a case."""
    with ollama.Client(url, trust_env=False) as client:
        try:
            return _CALLS[kind](client, case)
        except ollama.ResponseError as error:
            # In mid-stream there is no status.
            return failed(error.status_code) if error.status_code > 0 else broken()


def _chat(client: ollama.Client, case: Case) -> Outcome:
    asked: Any = {"messages": [{"role": "user", "content": "x"}], "stream": bool(case.stream)}
    parts = _parts(client.chat(MODEL, **asked), case)
    if not _generated(parts[-1]):
        return broken()
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    choice = Choice(
        text="".join(part.message.content or "" for part in parts),
        reasoning="".join(part.message.thinking or "" for part in parts),
        tool_calls=tuple((call.name, dict(call.arguments)) for call in calls),
        finish_reason="tool_calls" if calls else parts[-1].done_reason or "stop",
    )
    return Outcome((choice,), _usage(parts[-1]))


def _text(client: ollama.Client, case: Case) -> Outcome:
    asked: Any = {"prompt": "x", "stream": bool(case.stream)}
    parts = _parts(client.generate(MODEL, **asked), case)
    if not _generated(parts[-1]):
        return broken()
    text = "".join(part.response or "" for part in parts)
    return Outcome((Choice(text, finish_reason=parts[-1].done_reason or "stop"),), _usage(parts[-1]))


def _embed(client: ollama.Client, case: Case) -> Outcome:
    told = client.embed(MODEL, texts_of(case))
    usage = None if told.prompt_eval_count is None else Usage(prompt=told.prompt_eval_count)
    return Outcome(usage=usage, vectors=tuple(tuple(vector) for vector in told.embeddings))


def _models(client: ollama.Client, _: Case) -> Outcome:
    return Outcome(models=tuple(each.model or "" for each in client.list().models))


_CALLS: Final = {Kind.CHAT: _chat, Kind.TEXT: _text, Kind.EMBEDDINGS: _embed, Kind.MODELS: _models}


def _parts(answer: Any, case: Case) -> list[Any]:
    return list(answer) if case.stream else [answer]


def _generated(last: Any) -> bool:
    """Whether the model said all that it had to say: neither cut off, nor only loaded."""
    return bool(last.done) and last.done_reason not in ("load", "unload")


def _usage(last: Any) -> Usage | None:
    if last.prompt_eval_count is None and last.eval_count is None:
        return None
    return Usage(last.prompt_eval_count or 0, last.eval_count or 0)
