"""Cohere's error answers: ``{"message", "id"}``, some with ``error_type``. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from portico.errors import GatewayError, from_upstream
from portico.openai.errors import parse_error
from portico.v1.headers_pb2 import Header
from portico_adapters.cohere.rate_limits import for_callers

# Statuses of the API's own -> what they mean: a word of the request or answer is on the deny list, as its
# reference has it; who called the API went away, which was not the caller of the gateway.
_MEANT: Final[Mapping[int, int]] = {498: 400, 499: 500}
# The SDK calls 498 an invalid token, which the words may mean of a key.
_BAD_KEY: Final = re.compile(
    r"\b(api|access|auth\w*) (token|key)\b|\b(invalid|expired|revoked|unknown) (token|key)\b"
    r"|\b(token|key) (is|was|has) (\w+ )?(invalid|expired|revoked)\b",
    re.IGNORECASE,
)

_TOO_LONG: Final = re.compile(r"too many tokens|TOO_MANY_TOKENS", re.IGNORECASE)
# A limit on the answer rather than on the prompt.
_ANSWER_TOO_LONG: Final = re.compile(r"max[_ ]tokens must", re.IGNORECASE)
# A month's worth is used up: it does not help to wait.
_NO_QUOTA: Final = re.compile(r"/ ?month|per month|monthly", re.IGNORECASE)
_NO_MODEL: Final = re.compile(r"\bmodel\b.*\b(not found|removed)\b", re.IGNORECASE | re.DOTALL)


def error_of(status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool) -> GatewayError:
    """Read an answer with HTTP ``status`` 400 or above. ``callers_key``: the API saw the caller's key."""
    # Any server's answer, a proxy's page too; the words and every form of retry-after come from there.
    plain = parse_error(status, body, headers, callers_key=callers_key)
    words = plain.detail or plain.message
    if status == 498 and _BAD_KEY.search(words):
        error = from_upstream(401, words, headers=for_callers(headers), callers_key=callers_key)
        error.upstream_status = status
        return error
    code, param = _code(status, words), None
    if code == "model_not_found":
        param = "model"
    if code is None and status not in _MEANT:
        plain.headers = for_callers(headers)
        return plain
    error = from_upstream(
        _MEANT.get(status, status),
        words,
        code=code,
        param=param,
        retry_after=plain.retry_after,
        headers=for_callers(headers),
        callers_key=callers_key,
    )
    error.upstream_status = status
    return error


def _code(status: int, words: str) -> str | None:
    if status in (400, 413, 422) and _TOO_LONG.search(words) and not _ANSWER_TOO_LONG.search(words):
        return "context_length_exceeded"
    if status == 498:
        return "content_filter"
    if status == 429 and _NO_QUOTA.search(words):
        return "insufficient_quota"
    return "model_not_found" if status == 404 and _NO_MODEL.search(words) else None
