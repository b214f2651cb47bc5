"""Google's official SDK as judge of the Gemini API and of Vertex AI."""

import functools
import re
from collections.abc import Callable
from typing import Any, Final

import google.oauth2.credentials
from google import genai
from google.genai import errors, types

from tests.recorded.kinds import MODEL, Kind, texts_of
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed
from tests.support.corpus import Case

#: Returns the client that calls the replay server for a case.
Connect = Callable[[str], genai.Client]

#: Of the paths that are called on Vertex.
PROJECT: Final = "p"
LOCATION: Final = "us-central1"

_FILTERED: Final = {
    *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER"),
}
_FAILED: Final = {
    *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
    *("MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"),
}
# The SDK cannot read enums that are integers, as Vertex writes them when asked to: it is told their names.
_INTEGER: Final = re.compile(rb'"(finishReason|modality|trafficType)": (\d+)')
_NAMES: Final = {
    b"finishReason": (b"FINISH_REASON_UNSPECIFIED", b"STOP", b"MAX_TOKENS", b"SAFETY", b"RECITATION"),
    b"modality": (b"MODALITY_UNSPECIFIED", b"TEXT", b"IMAGE", b"VIDEO", b"AUDIO", b"DOCUMENT"),
    b"trafficType": (b"TRAFFIC_TYPE_UNSPECIFIED", b"ON_DEMAND", b"PROVISIONED_THROUGHPUT"),
}


def _gemini(url: str) -> genai.Client:
    return genai.Client(api_key="k", http_options=_options(url))


def _vertex(url: str) -> genai.Client:
    credentials = google.oauth2.credentials.Credentials(token="t")  # type: ignore[no-untyped-call]
    options = _options(url)
    return genai.Client(
        vertexai=True, project=PROJECT, location=LOCATION, credentials=credentials, http_options=options
    )


def _options(url: str) -> types.HttpOptions:
    return types.HttpOptions(base_url=url, timeout=30_000, client_args={"trust_env": False})


def judge(url: str, case: Case, kind: Kind, connect: Connect = _gemini) -> Outcome:
    """Return what the SDK makes of a case."""
    client = connect(url)
    try:
        return _CALLS[kind](client, case)
    except errors.APIError as error:
        return _failed(error)
    except errors.UnknownApiResponseError:
        return broken()
    finally:
        client.close()


judge_vertex = functools.partial(judge, connect=_vertex)


def _chat(client: genai.Client, case: Case) -> Outcome:
    if _INTEGER.search(case.body):
        named = _INTEGER.sub(lambda told: b'"%b": "%b"' % (told[1], _NAMES[told[1]][int(told[2])]), case.body)
        answers = [types.GenerateContentResponse.model_validate_json(named)]
    elif case.stream:
        answers = list(client.models.generate_content_stream(model=MODEL, contents="x"))
    else:
        answers = [client.models.generate_content(model=MODEL, contents="x")]
    told: dict[int, list[types.Candidate]] = {}
    for answer in answers:
        for candidate in answer.candidates or ():
            told.setdefault(candidate.index or 0, []).append(candidate)
    usage = next((found for answer in reversed(answers) if (found := _usage(answer.usage_metadata))), None)
    if not told:
        blocked = any(answer.prompt_feedback and answer.prompt_feedback.block_reason for answer in answers)
        return Outcome((Choice(finish_reason="content_filter"),), usage) if blocked else broken()
    reasons = {index: _reason(pieces) for index, pieces in told.items()}
    if any(reason in (None, *_FAILED) for reason in reasons.values()):
        return broken()
    return Outcome(tuple(_choice(told[index], reasons[index] or "") for index in sorted(told)), usage)


def _choice(pieces: list[types.Candidate], reason: str) -> Choice:
    contents = [piece.content for piece in pieces if piece.content]
    parts = [part for content in contents for part in content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    finish = "content_filter" if reason in _FILTERED else "length" if reason == "MAX_TOKENS" else "stop"
    return Choice(
        text="".join(part.text or "" for part in parts if not part.thought),
        reasoning="".join(part.text or "" for part in parts if part.thought),
        tool_calls=tuple((call.name or "", call.args or {}) for call in calls),
        finish_reason="tool_calls" if calls and reason == "STOP" else finish,
    )


def _reason(pieces: list[types.Candidate]) -> str | None:
    """Return why a candidate stopped. None: it did not."""
    told = [piece.finish_reason for piece in pieces if piece.finish_reason is not None]
    return str(told[-1].value) if told else None


def _usage(told: Any) -> Usage | None:
    if told is None or (told.prompt_token_count is None and told.candidates_token_count is None):
        return None
    return Usage(
        prompt=(told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0),
        completion=(told.candidates_token_count or 0) + (told.thoughts_token_count or 0),
        cached=told.cached_content_token_count or 0,
        reasoning=told.thoughts_token_count or 0,
    )


def _embed(client: genai.Client, case: Case) -> Outcome:
    told = client.models.embed_content(model=MODEL, contents=list(texts_of(case)))
    vectors = [tuple(each.values or ()) for each in told.embeddings or ()]
    counts = [
        int(each.statistics.token_count)
        for each in told.embeddings or ()
        if each.statistics and each.statistics.token_count is not None
    ]
    return Outcome(usage=Usage(prompt=sum(counts)) if counts else None, vectors=tuple(vectors))


def _models(client: genai.Client, _: Case) -> Outcome:
    return Outcome(models=tuple((each.name or "").rpartition("/")[2] for each in client.models.list()))


_CALLS: Final[dict[Kind, Callable[[genai.Client, Case], Outcome]]] = {
    Kind.CHAT: _chat,
    Kind.EMBEDDINGS: _embed,
    Kind.MODELS: _models,
}


def _failed(error: errors.APIError) -> Outcome:
    status, message, code = error.code, error.message or "", None
    if "API key not valid" in message:
        status = 401
    elif re.search("token count .* exceeds the maximum", message):
        code = "context_length_exceeded"
    return failed(status, code)
