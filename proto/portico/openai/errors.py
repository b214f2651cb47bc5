"""Errors: OpenAI's ``{"error": {…}}`` <-> GatewayError.

Writing has one shape. Reading takes the shapes of all servers that call themselves compatible: the
object may be a text, lie under other names or in a list, and its code may be an HTTP status.
"""

import re
from collections.abc import Sequence
from typing import Final

from msgspec.json import encode

from portico.errors import UNKNOWN_URL, GatewayError, from_upstream
from portico.openai._error_body import Told, told_by, told_in
from portico.openai._meanings import meaning_of
from portico.openai._retry import retry_after
from portico.v1.headers_pb2 import Header

#: Headers of a backend that concern the caller.
_KEPT: Final = "x-ratelimit-"

# What servers and their frameworks say of a path that they do not have. A page says it too, or nothing;
# who misses a model names it.
_NO_PATH: Final = re.compile(
    r"(?!.*\bmodel)("
    r"(404\W+)?((page|file|resource|route|path|url|endpoint) )?not found\W*"
    r"|(invalid|unknown) (request )?url\b.*"
    r"|cannot post\b.*"
    r"|no (such )?(route|path|url|endpoint)\b.*"
    r"|(the )?(requested )?(route|path|url|endpoint|resource)\b.* not (be )?(found|exist)\b.*"
    r")",
    re.IGNORECASE | re.DOTALL,
)

# Errors inside an answer of status 200 tell by a word what a status would have told.
_STATUS_BY_WORD: Final = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 503,
}


def render_error(error: GatewayError) -> bytes:
    """Write the body of an HTTP answer."""
    values = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return encode({"error": values})


def render_error_event(error: GatewayError) -> bytes:
    """Write the event that ends a stream instead of ``[DONE]``."""
    return b"data: %b\n\n" % render_error(error)


def parse_error(
    status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool = False
) -> GatewayError:
    """Read a backend's answer with HTTP ``status`` 400 or above. Any body will do.

    ``callers_key``: the key that the backend saw was the caller's, passed through.
    """
    kept = [header for header in headers if header.name.startswith(_KEPT)]
    return _error(status, told_by(body), retry_after(headers), kept, callers_key)


def error_in(data: bytes | memoryview, *, callers_key: bool = False) -> GatewayError | None:
    """Return the error inside an answer of status 200 or an event of its stream; None: it has none."""
    told = told_in(bytes(data))
    if told is None:
        return None
    return _error(told.status, told, None, (), callers_key)


def _error(
    status: int, told: Told, seconds: float | None, kept: Sequence[Header], callers_key: bool
) -> GatewayError:
    kind, code, param = told.type, told.code, told.param
    meaning = meaning_of(status, told)
    words = (meaning and meaning.code, code, kind)
    status = status or next((_STATUS_BY_WORD[word] for word in words if word in _STATUS_BY_WORD), 500)
    meant = status
    if meaning is not None:
        meant, kind, code = meaning.status or status, meaning.type, meaning.code
        param = param or meaning.param
    elif status == 404 and not code and not param and (not told.message or _NO_PATH.match(told.message)):
        code = UNKNOWN_URL
    error = from_upstream(
        meant,
        told.message or "The backend refused the request and gave no reason.",
        type=kind,
        code=code,
        param=param,
        retry_after=seconds,
        headers=kept,
        callers_key=callers_key,
    )
    error.upstream_status = status
    error.detail = told.raw or error.detail
    return error
