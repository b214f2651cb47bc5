"""AWS's errors: a kind in a header, and ``{"message": "text"}``. Also those inside a stream. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from portico.errors import GatewayError, from_upstream
from portico.openai.errors import parse_error
from portico.v1.headers_pb2 import Header

# Kind, in lower case and without "exception" -> the HTTP status that means the same to us. AWS's own says
# less: a model that fails is 424, a wrong model's name 400, a signature that is not one 400 or 403.
_MEANT: Final[Mapping[str, int]] = {
    "accessdenied": 403,
    "expiredtoken": 403,
    "incompletesignature": 403,
    "invalidclienttokenid": 403,
    "invalidsignature": 403,
    "missingauthenticationtoken": 403,
    "notauthorized": 403,
    "optinrequired": 403,
    "unrecognizedclient": 403,
    "resourcenotfound": 404,
    "conflict": 409,
    "modeltimeout": 408,
    "modelerror": 500,
    "modelstreamerror": 500,
    "modelnotready": 503,
    "throttling": 429,
    "toomanyrequests": 429,
    "servicequotaexceeded": 429,
    "internalserver": 500,
    "internalfailure": 500,
    "serviceunavailable": 503,
    "validation": 400,
}
# A failed dependency is the model, or what it runs on.
_BY_STATUS: Final[Mapping[int, int]] = {424: 500}

_UNKNOWN_MODEL: Final = re.compile(
    r"model identifier is invalid|could not resolve the foundation model|model .*\bnot found", re.IGNORECASE
)
_TOO_LONG: Final = re.compile(
    r"input tokens exceeded|(input|prompt) is too long|(exceeds?|maximum) .*\bcontext (length|window)"
    r"|too many input tokens|exceeds the maximum number of (input )?tokens|exceed(s|ed)? context limit",
    re.IGNORECASE,
)
_FILTERED: Final = re.compile(r"blocked by (the )?content filter", re.IGNORECASE)
# Anthropic's models are refused by where the request comes from.
_ELSEWHERE: Final = re.compile(r"unsupported countr", re.IGNORECASE)
# A limit that no wait within this day lifts.
_NO_QUOTA: Final = re.compile(r"tokens per day", re.IGNORECASE)


class _Told(Struct):
    message: str | None = None
    #: Some of AWS's services write it so.
    capital: str | None = msgspec.field(default=None, name="Message")
    #: Where the header is missing, such as behind proxies: "com.amazon…#ValidationException".
    type: str | None = msgspec.field(default=None, name="__type")


_TOLD: Final = Decoder(_Told)


def error_of(status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool) -> GatewayError:
    """Read an answer with HTTP ``status`` 400 or above. ``callers_key``: AWS saw the caller's key."""
    told = _read(body)
    kinds = [each.value.decode("latin-1") for each in headers if each.name == "x-amzn-errortype"]
    kind = _plain(kinds[0] if kinds else told.type or "")
    seconds = parse_error(status, body, headers).retry_after
    error = _error(_MEANT.get(kind, _BY_STATUS.get(status, status)), told, seconds, callers_key)
    error.upstream_status = status
    return error


def error_in_stream(name: str, payload: bytes, *, callers_key: bool) -> GatewayError:
    """Read an exception or an error that stands in a stream, by the name it has there."""
    return _error(_MEANT.get(_plain(name), 500), _read(payload), None, callers_key)


def _error(meant: int, told: _Told, seconds: float | None, callers_key: bool) -> GatewayError:
    message = told.message or told.capital or "The backend refused the request and gave no reason."
    code = param = None
    if meant in (400, 404) and _UNKNOWN_MODEL.search(message):
        meant = 404
    elif meant in (400, 413) and _TOO_LONG.search(message):
        meant, code, param = 400, "context_length_exceeded", "messages"
    elif meant == 400 and _FILTERED.search(message):
        code = "content_filter"
    elif meant == 400 and _ELSEWHERE.search(message):
        # It is the gateway that stands where the model is not served.
        meant = 403
    elif meant == 429 and _NO_QUOTA.search(message):
        meant = 402
    if meant == 404:
        code, param = "model_not_found", "model"
    return from_upstream(meant, message, code=code, param=param, retry_after=seconds, callers_key=callers_key)


def _read(body: bytes) -> _Told:
    try:
        return _TOLD.decode(body)
    except (ValueError, RecursionError):
        return _Told(body.decode("utf-8", "replace").strip())


def _plain(kind: str) -> str:
    """Return the bare kind: "ValidationException:http://internal…" is "validation"."""
    return kind.partition(":")[0].rpartition("#")[2].strip().lower().removesuffix("exception")
