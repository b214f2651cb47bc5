"""The one exception of the gateway, and the tables that map it in and out.

An error has a class (whose fault it is), and the class decides status, retry and breaker. Adapters
make errors from a backend's answer (``from_upstream``), the core from its own findings (the named
constructors). gRPC and HTTP each read the result through one table, so that HTTP -> gRPC -> HTTP
loses nothing. Pure: no I/O, no gRPC objects; ``portico.status`` packs errors for the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from portico.v1.errors_pb2 import ErrorClass as WireClass
from portico.v1.headers_pb2 import Header


class ErrorClass(Enum):
    """Whose fault a failure is; see ``ErrorClass`` in errors.proto for what follows from each."""

    CALLER = WireClass.ERROR_CLASS_CALLER
    CREDENTIAL = WireClass.ERROR_CLASS_CREDENTIAL
    CAPACITY = WireClass.ERROR_CLASS_CAPACITY
    UPSTREAM = WireClass.ERROR_CLASS_UPSTREAM
    GATEWAY = WireClass.ERROR_CLASS_GATEWAY


@dataclass(eq=False)
class GatewayError(Exception):
    """A call failed, in words that a caller may read.

    ``message`` reaches the caller: it names nothing of our keys, hosts or stack. What is for the
    operator stands in ``detail`` and reaches the log alone.
    """

    error_class: ErrorClass
    http_status: int
    message: str
    #: OpenAI's ``type``, ``code`` and ``param``.
    type: str
    code: str | None = None
    param: str | None = None
    #: Seconds after which a repeat may help, where the backend said so.
    retry_after: float | None = None
    #: Headers of the backend that concern the caller (rate limits).
    headers: Sequence[Header] = ()
    #: HTTP status that the backend answered with; 0 where it did not get so far.
    upstream_status: int = 0
    #: For the log alone.
    detail: str = ""

    def __str__(self) -> str:
        return self.message


# The types of OpenAI's error objects (its API reference, "Error codes").
INVALID_REQUEST: Final = "invalid_request_error"
AUTHENTICATION: Final = "authentication_error"
PERMISSION: Final = "permission_error"
NOT_FOUND: Final = "not_found_error"
RATE_LIMIT: Final = "rate_limit_error"
QUOTA: Final = "insufficient_quota"
SERVER: Final = "server_error"
TIMEOUT: Final = "timeout_error"

#: The ``code`` of a 404 that is about the path, not the model.
UNKNOWN_URL: Final = "unknown_url"


def invalid_request(message: str, param: str | None = None, code: str | None = None) -> GatewayError:
    """400: the request is wrong; ``param`` names the member as OpenAI does (``messages[0].role``)."""
    return GatewayError(ErrorClass.CALLER, 400, message, INVALID_REQUEST, code, param)


def unsupported(what: str, param: str, backend: str = "") -> GatewayError:
    """400: ``backend``, by its name in the configuration, cannot do ``what``, which ``param`` asks for."""
    named = f"The backend {backend}" if backend else "The backend"
    message = f"{named} of this model does not support {what}."
    return invalid_request(message, param, "unsupported_parameter")


def unknown_model(model: str) -> GatewayError:
    """404 in the words of OpenAI."""
    message = (
        f"The model `{model[:200]}` does not exist or you do not have access to it."
        " GET /v1/models lists what does."
    )
    return GatewayError(ErrorClass.CALLER, 404, message, INVALID_REQUEST, "model_not_found", "model")


def too_large(what: str, limit: int | None = None, detail: str = "") -> GatewayError:
    """413: ``what`` is over ``limit`` bytes."""
    message = f"The {what} is larger than this gateway takes" + (f" ({limit:,} bytes)." if limit else ".")
    return GatewayError(ErrorClass.CALLER, 413, message, INVALID_REQUEST, "request_too_large", detail=detail)


def upstream_failed(message: str, detail: str = "") -> GatewayError:
    """502: the backend refused the connection, broke off or sent what nobody can read."""
    return GatewayError(ErrorClass.UPSTREAM, 502, message, SERVER, "upstream_error", detail=detail)


def answer_too_large(what: str, detail: str = "") -> GatewayError:
    """502: ``what`` the backend sent is more than this gateway keeps."""
    message = f"The backend sent a larger {what} than this gateway takes."
    return GatewayError(ErrorClass.UPSTREAM, 502, message, SERVER, "upstream_answer_too_large", detail=detail)


def upstream_unreachable(message: str, detail: str = "") -> GatewayError:
    """502: no connection to the backend came about, so it has seen nothing of the request."""
    return GatewayError(ErrorClass.UPSTREAM, 502, message, SERVER, "upstream_unreachable", detail=detail)


def upstream_silent(message: str, detail: str = "") -> GatewayError:
    """504: the backend did not answer in time."""
    return GatewayError(ErrorClass.UPSTREAM, 504, message, TIMEOUT, "upstream_timeout", detail=detail)


def deadline_exceeded() -> GatewayError:
    """504: the time that the caller gave is over. The caller's class, so nothing is tried again."""
    message = "The deadline of the request passed before the answer was whole."
    return GatewayError(ErrorClass.CALLER, 504, message, TIMEOUT, "deadline_exceeded")


def unavailable(message: str, code: str = "gateway_unavailable", detail: str = "") -> GatewayError:
    """503: the gateway cannot serve now."""
    return GatewayError(ErrorClass.GATEWAY, 503, message, SERVER, code, detail=detail)


def overloaded(message: str, retry_after: float) -> GatewayError:
    """503: more calls than are taken; ``retry_after``: seconds after which there may be room again."""
    return GatewayError(ErrorClass.CAPACITY, 503, message, SERVER, "overloaded", retry_after=retry_after)


def limited(retry_after: float) -> GatewayError:
    """429: a backend has asked for a pause, of which so many seconds are left. It is not asked meanwhile."""
    message = "The backend's rate limit is reached. Try again later."
    return GatewayError(
        ErrorClass.CAPACITY, 429, message, RATE_LIMIT, "rate_limit_exceeded", retry_after=retry_after
    )


def too_many_calls() -> GatewayError:
    """503: the gateway serves as many calls as it takes. Most are over soon: a second is worth waiting."""
    return overloaded("The gateway is overloaded. Try again shortly.", 1.0)


def internal(detail: str) -> GatewayError:
    """500: a fault of our own. What it was stands in the log."""
    message = "The gateway failed to serve this request. Its log holds the reason under the request id."
    return GatewayError(ErrorClass.GATEWAY, 500, message, SERVER, "internal_error", detail=detail)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a backend's HTTP status means, and how the caller hears of it."""

    error_class: ErrorClass
    http_status: int
    type: str
    code: str | None
    #: Said instead of the backend's words, which are kept for the caller's own mistakes alone.
    message: str = ""


_CALLER = ErrorClass.CALLER
_CAPACITY = ErrorClass.CAPACITY
_OUR_KEY = _Answer(
    ErrorClass.CREDENTIAL,
    502,
    SERVER,
    "upstream_credentials",
    "The backend refused the gateway's credentials.",
)
_FAILED = _Answer(
    ErrorClass.UPSTREAM, 502, SERVER, "upstream_error", "The backend failed to serve this request."
)

_CALLERS_KEY: Final = {
    401: _Answer(ErrorClass.CREDENTIAL, 401, AUTHENTICATION, "invalid_api_key"),
    403: _Answer(ErrorClass.CREDENTIAL, 403, PERMISSION, None),
}

# The table in: a backend's HTTP status -> class, and -> status, type and code for the caller.
_UPSTREAM: Final[dict[int, _Answer]] = {
    400: _Answer(_CALLER, 400, INVALID_REQUEST, None),
    401: _OUR_KEY,
    402: _Answer(
        _CAPACITY, 429, QUOTA, "insufficient_quota", "The gateway's quota at the backend is used up."
    ),
    403: _OUR_KEY,
    404: _Answer(_CALLER, 404, INVALID_REQUEST, "model_not_found"),
    405: _FAILED,
    408: _Answer(
        ErrorClass.UPSTREAM, 504, TIMEOUT, "upstream_timeout", "The backend did not answer in time."
    ),
    409: _Answer(_CALLER, 409, INVALID_REQUEST, "conflict"),
    413: _Answer(_CALLER, 413, INVALID_REQUEST, "request_too_large"),
    415: _Answer(_CALLER, 415, INVALID_REQUEST, None),
    422: _Answer(_CALLER, 422, INVALID_REQUEST, None),
    429: _Answer(_CAPACITY, 429, RATE_LIMIT, "rate_limit_exceeded", "The backend's rate limit is reached."),
    500: _FAILED,
    501: _Answer(_CALLER, 501, INVALID_REQUEST, "not_supported"),
    503: _Answer(_CAPACITY, 503, SERVER, "overloaded", "The backend is overloaded or starting."),
    504: _Answer(
        ErrorClass.UPSTREAM, 504, TIMEOUT, "upstream_timeout", "The backend did not answer in time."
    ),
    529: _Answer(_CAPACITY, 529, SERVER, "overloaded", "The backend is overloaded."),
}


def from_upstream(
    status: int,
    message: str,
    *,
    type: str | None = None,
    code: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    headers: Sequence[Header] = (),
    callers_key: bool = False,
) -> GatewayError:
    """Make the error for a backend's answer with HTTP ``status`` (400 and above).

    ``message``, ``type``, ``code`` and ``param`` are the backend's own. They reach the caller where
    the mistake is the caller's, or a limit that concerns the caller; else they go to the log.
    ``callers_key``: the key that the backend saw was the caller's, passed through.
    """
    answer = _UPSTREAM.get(status)
    if answer is None:
        answer = _UPSTREAM[400] if 400 <= status < 500 else _FAILED
    if status == 429 and QUOTA in (type, code):
        answer = _UPSTREAM[402]
    elif answer is _OUR_KEY and callers_key:
        answer = _CALLERS_KEY[status]
    # With the caller's own key the caller's own account is meant: its words are the caller's too.
    keep = answer.error_class is _CALLER or (callers_key and answer.error_class is not ErrorClass.UPSTREAM)
    return GatewayError(
        answer.error_class,
        answer.http_status,
        message if keep else answer.message,
        (type if keep else None) or answer.type,
        (code if keep else None) or answer.code,
        param if keep else None,
        retry_after,
        headers,
        upstream_status=status,
        detail="" if keep else message,
    )
