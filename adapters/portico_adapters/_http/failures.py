"""What the HTTP libraries raise, as GatewayErrors: the one place that tells them apart."""

import ssl
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from portico.errors import GatewayError, internal, upstream_failed, upstream_silent, upstream_unreachable

_BROKE_OFF: Final = "The backend broke off in the middle of its answer."
_NO_ANSWER: Final = "The backend closed the connection without an answer."

# Which exceptions of the libraries say that there was no connection; the first row that fits counts. The
# transport wraps most of them in httpx's, some in the wrong ones, and keeps the original as the cause.
_UNREACHABLE: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((aiohttp.ClientConnectorDNSError,), "The backend's address cannot be resolved."),
    (
        (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
        "The proxy in front of the backend refused the connection.",
    ),
    ((aiohttp.ClientSSLError, ssl.SSLError), "The backend's TLS handshake failed."),
    ((aiohttp.ClientConnectorError,), "The backend cannot be reached."),
)

# And which that there was one.
_FAILED: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((aiohttp.ClientResponseError, HttpProcessingError), "The backend's answer is not valid HTTP."),
    ((aiohttp.ClientPayloadError,), _BROKE_OFF),
    ((aiohttp.ClientConnectionError, OSError), _NO_ANSWER),
)


def never_written(error: BaseException | None) -> bool:
    """Whether the first write found the connection closed, so that the backend saw nothing of it."""
    while error is not None:
        if isinstance(error, aiohttp.ClientConnectionResetError) and "closing transport" in str(error):
            return True
        error = error.__cause__
    return False


def failure(error: Exception, *, in_body: bool = False) -> GatewayError:
    """Return the GatewayError for any exception of the libraries. ``in_body``: headers had come."""
    cause = error.__cause__ or error
    detail = " ".join(f"{type(cause).__name__}: {cause}".split())
    if isinstance(cause, TimeoutError):
        return upstream_silent("The backend did not accept a connection in time.", detail)
    for types, message in _UNREACHABLE:
        if isinstance(cause, types):
            return upstream_unreachable(message, detail)
    for types, message in _FAILED:
        if isinstance(cause, types):
            return upstream_failed(_BROKE_OFF if in_body and message is _NO_ANSWER else message, detail)
    return internal(detail)
