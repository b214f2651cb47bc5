"""Google's errors: ``{"error": {"code", "message", "status", "details"}}``, bare or in a list. Pure.

Source: google.rpc.Status, and the detail types of google/rpc/error_details.proto.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.errors import INVALID_REQUEST, GatewayError, from_upstream
from portico.openai.errors import parse_error
from portico.v1.headers_pb2 import Header

# google.rpc.Code -> HTTP status, for errors that come inside an answer of status 200.
_STATUS: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# The API answers 400 to a key that it refuses.
_BAD_KEY: Final = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_BAD_KEY_WORDS: Final = re.compile(r"api key (not valid|expired)", re.IGNORECASE)
_ELSEWHERE: Final = re.compile(r"location is not supported", re.IGNORECASE)
_TOO_LONG: Final = re.compile(
    r"token count.* exceeds the maximum|exceeds .*context (length|window)", re.IGNORECASE
)
# A limit that no wait within this day lifts.
_NO_QUOTA: Final = re.compile(r"credits? .*depleted|limit: 0\b|spend(ing)? cap", re.IGNORECASE)
_MODEL: Final = re.compile(r"\bmodels?\b|/models/", re.IGNORECASE)
_SECONDS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class _Told(Struct):
    code: int | str | None = None
    message: str | None = None
    status: str | int | None = None
    details: list[Any] | None = None


class _Body(Struct):
    error: _Told | None = None


_BODY: Final = Decoder(list[_Body] | _Body)


def error_of(status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool) -> GatewayError:
    """Read an answer with HTTP ``status`` 400 or above. ``callers_key``: the API saw the caller's key."""
    # What any server may send: a proxy's page, a bare text. Also reads every form of retry-after.
    plain = parse_error(status, body, headers, callers_key=callers_key)
    told = _told(body)
    if told is None:
        return plain
    error = _error(status, told, callers_key)
    error.headers = plain.headers
    if error.retry_after is None:
        error.retry_after = plain.retry_after
    return error


def error_in(data: bytes, *, callers_key: bool) -> GatewayError | None:
    """Return the error inside an answer of status 200 or an event of its stream; None: it has none."""
    if b'"error"' not in data:
        return None
    told = _told(data)
    if told is None:
        return None
    code = told.code if isinstance(told.code, int) and 400 <= told.code < 600 else None
    return _error(code or _STATUS.get(str(told.status), 500), told, callers_key)


def _told(body: bytes) -> _Told | None:
    try:
        found = _BODY.decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return next((each.error for each in found if each.error is not None), None)
    error: _Told | None = found.error
    return error


def _error(status: int, told: _Told, callers_key: bool) -> GatewayError:
    message = told.message or "The backend refused the request and gave no reason."
    details = [detail for detail in told.details or () if isinstance(detail, dict)]
    meant, code, param = status, None, None
    if status == 400 and (_reasons(details) & _BAD_KEY or _BAD_KEY_WORDS.search(message)):
        meant = 401
    elif status == 400 and _ELSEWHERE.search(message):
        # It is the gateway that stands where Google does not serve.
        meant = 403
    elif status in (400, 413) and _TOO_LONG.search(message):
        code = "context_length_exceeded"
    elif status == 404:
        code, param = ("model_not_found", "model") if _MODEL.search(message) else ("not_found", None)
    elif status == 429 and (_NO_QUOTA.search(message) or _lasts(details)):
        meant = 402
    type = INVALID_REQUEST if code else None
    retry_after = _retry_delay(details)
    error = from_upstream(
        meant, message, type=type, code=code, param=param, retry_after=retry_after, callers_key=callers_key
    )
    error.upstream_status = status
    return error


def _reasons(details: Sequence[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(detail.get("reason")) for detail in details)


def _lasts(details: Sequence[dict[str, Any]]) -> bool:
    """Whether a quota of a day is used up, or one that never was there."""
    for detail in details:
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and (
                "PerDay" in str(violation.get("quotaId")) or str(violation.get("quotaValue")) == "0"
            ):
                return True
    return False


def _retry_delay(details: Sequence[dict[str, Any]]) -> float | None:
    """Return the seconds of a google.rpc.RetryInfo."""
    for detail in details:
        if found := _SECONDS.fullmatch(str(detail.get("retryDelay"))):
            return float(found[1])
    return None
