"""Anthropic's errors: ``{"type": "error", "error": {"type", "message"}}``, as answers and as events. Pure."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.errors import GatewayError, from_upstream
from portico.openai.errors import parse_error
from portico.v1.headers_pb2 import Header
from portico_adapters.anthropic.rate_limits import for_callers, seconds_to_reset

# The API's "Errors". An event in mid-stream tells by its type what a status would have told.
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_LONG: Final = "context_length_exceeded"
_TOO_LONG: Final = re.compile(
    r"prompt is too long|exceed(s|ed)? (the )?(max\w* )?context (limit|window)", re.IGNORECASE
)
_FILTERED: Final = re.compile(r"blocked by (the )?content filter", re.IGNORECASE)
# An empty account answers 400, and so do limits that its owner has set.
_NO_MONEY: Final = re.compile(r"credit balance|usage limits|spend(ing)? limit", re.IGNORECASE)
_MODEL: Final = re.compile(r"\bmodel\b", re.IGNORECASE)


class _Told(Struct):
    type: str = ""
    message: str = ""
    details: Any = None


class _Body(Struct):
    error: _Told


_BODY: Final = Decoder(_Body)


def error_of(status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool) -> GatewayError:
    """Read an answer with HTTP ``status`` 400 or above. ``callers_key``: the API saw the caller's key."""
    # What any server may send: a proxy's page, a bare text. Also reads every form of retry-after.
    plain = parse_error(status, body, headers, callers_key=callers_key)
    try:
        told = _BODY.decode(body).error
        error = _error(status, told, callers_key, plain.code)
    except (ValueError, RecursionError):
        error = plain
    # When to come back is the error's own affair.
    kept = for_callers(headers, time.time())
    error.headers = [header for header in kept if header.name.startswith("x-ratelimit-")]
    error.retry_after = plain.retry_after
    if error.retry_after is None and status == 429:
        error.retry_after = seconds_to_reset(headers, time.time())
    return error


def error_in(data: bytes, *, callers_key: bool) -> GatewayError:
    """Read an error inside an answer of status 200, or an event of its stream."""
    try:
        told = _BODY.decode(data).error
    except (ValueError, RecursionError):
        told = _Told(message=data[:1000].decode(errors="replace"))
    return _error(_STATUS.get(told.type, 500), told, callers_key)


def _error(status: int, told: _Told, callers_key: bool, plainly: str | None = None) -> GatewayError:
    """``plainly``: the code that any other server's words would mean."""
    meant, code, param = status, None, None
    cause = told.details.get("error_code") if isinstance(told.details, dict) else None
    money = cause if isinstance(cause, str) else told.message
    if status in (400, 403, 429) and _NO_MONEY.search(money.replace("_", " ")):
        meant = 402
    elif status in (400, 413) and (plainly == _LONG or _TOO_LONG.search(told.message)):
        code = _LONG
    elif status == 400 and _FILTERED.search(told.message):
        code = "content_filter"
    elif status == 404:
        # Of files and containers that are gone the API says 404 too.
        code, param = ("model_not_found", "model") if _MODEL.match(told.message) else ("not_found", None)
    elif status == 504:
        code = "upstream_timeout"
    message = told.message or "The backend refused the request and gave no reason."
    error = from_upstream(meant, message, code=code, param=param, callers_key=callers_key)
    error.upstream_status = status
    return error
