"""What goes wrong between the gateway and a backend, as GatewayErrors: the one place that tells it apart."""

import socket
import ssl
from typing import Final

from portico.errors import GatewayError, internal, upstream_failed, upstream_silent, upstream_unreachable


class BrokenOffError(Exception):
    """The connection ended before the answer was whole."""


class NotHttpError(Exception):
    """What came is no HTTP/1.1, or breaks its framing."""


class ProxyError(Exception):
    """The proxy in front of the backend does not let the connection through."""


_BROKE_OFF: Final = "The backend broke off in the middle of its answer."
_NO_ANSWER: Final = "The backend closed the connection without an answer."

# Which exceptions say that there was no connection; the first row that fits counts.
_UNREACHABLE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (socket.gaierror, "The backend's address cannot be resolved."),
    # A name with an empty or too long part.
    (UnicodeError, "The backend's address cannot be resolved."),
    (ProxyError, "The proxy in front of the backend refused the connection."),
    (ssl.SSLError, "The backend's TLS handshake failed."),
    (OSError, "The backend cannot be reached."),
)


def failure(error: Exception, *, at: str, in_body: bool = False) -> GatewayError:
    """Return the GatewayError for what a connection raises.

    ``at``: host and port, for the log. ``in_body``: headers had come.
    """
    detail = " ".join(f"{at}: {type(error).__name__}: {error}".split())
    if isinstance(error, NotHttpError):
        return upstream_failed("The backend's answer is not valid HTTP.", detail)
    if isinstance(error, BrokenOffError):
        return upstream_failed(_BROKE_OFF if in_body else _NO_ANSWER, detail)
    if isinstance(error, TimeoutError):
        return upstream_silent("The backend did not accept a connection in time.", detail)
    for kind, message in _UNREACHABLE:
        if isinstance(error, kind):
            return upstream_unreachable(message, detail)
    return internal(detail)
