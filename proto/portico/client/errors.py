"""What calls raise: one class per kind of failure, with the names of OpenAI's Python SDK.

The class follows the HTTP status as in that SDK, so that code which moves here from it keeps its
``except`` clauses. Two statuses of the 500s have a class of their own, since services treat them apart.
"""

from collections.abc import Mapping
from typing import Final

from portico.client.answers import by_name
from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.v1.receipt_pb2 import Receipt


class APIError(Exception):
    """A call failed.

    ``str()`` is a line for a log: the message, the status, OpenAI's code and the request id.
    """

    def __init__(self, error: GatewayError, request_id: str, receipt: Receipt | None = None) -> None:
        # All of it goes into `args`, so that the error survives pickling.
        super().__init__(error, request_id, receipt)
        #: For people; names nothing of the gateway's keys, hosts or stack.
        self.message: Final = error.message
        #: OpenAI's ``type``, ``code`` and ``param``.
        self.type: Final = error.type
        self.code: Final = error.code
        self.param: Final = error.param
        #: What an HTTP caller would have got, such as 404.
        self.http_status: Final = error.http_status
        #: Whose fault it is.
        self.error_class: Final = error.error_class
        #: Seconds after which a repeat may help, where the backend said so.
        self.retry_after: Final = error.retry_after
        #: The backend's headers that concern the caller, such as its rate limits; lower case names.
        self.headers: Final[Mapping[str, bytes]] = by_name(error.headers)
        #: Finds the call in the gateway's log.
        self.request_id: Final = request_id
        #: What became of the call. None: the gateway could not say, being out of reach or out of time.
        self.receipt: Final = receipt
        #: gRPC's own words where the failure came from it: addresses, reasons. For your log.
        self.detail: Final = error.detail

    def __str__(self) -> str:
        code = f" {self.code}" if self.code else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.message} ({self.http_status}{code}, request {self.request_id}{detail})"


class BadRequestError(APIError):
    """400, and every other 4xx without a class: the request is wrong, and ``param`` says where."""


class AuthenticationError(APIError):
    """401: the key is missing or wrong."""


class PermissionDeniedError(APIError):
    """403: the key is not allowed to do this."""


class NotFoundError(APIError):
    """404: no such model."""


class RateLimitError(APIError):
    """429: a rate limit, or a quota (``code`` is then "insufficient_quota" and a repeat does not help)."""


class InternalServerError(APIError):
    """500 and above: the gateway or its backends failed."""


class UnavailableError(InternalServerError):
    """503: the gateway cannot be reached, stops, or has no backend that takes calls now."""


class DeadlineExceededError(InternalServerError):
    """504: time is up, yours (``code`` is "deadline_exceeded") or the one that a backend is given."""


_CLASSES: Final[Mapping[int, type[APIError]]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
    503: UnavailableError,
    504: DeadlineExceededError,
}


def api_error(error: GatewayError, context: CallContext) -> APIError:
    """Return what the caller of a client gets to see of ``error``."""
    other = BadRequestError if error.http_status < 500 else InternalServerError
    return _CLASSES.get(error.http_status, other)(error, context.request_id, context.receipt)
