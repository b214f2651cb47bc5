"""The answer to what is no request: no handler sees it."""

import http
import logging

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError
from portico.openai.errors import render_error
from portico_facade import access, headers
from portico_facade.metrics import Metrics


def refusal(error: GatewayError, metrics: Metrics) -> bytes:
    """Return the whole answer, which is counted and logged."""
    request_id = headers.new_request_id()
    body = render_error(error)
    metrics.refused(error)
    access.record(logging.INFO, status=error.http_status, request_id=request_id, error=error.code)
    head = (
        f"HTTP/1.1 {error.http_status} {http.HTTPStatus(error.http_status).phrase}\r\n"
        "Server: portico\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nOpenai-Processing-Ms: 0\r\n\r\n"
    )
    return head.encode("ascii") + body


def headers_too_slow() -> GatewayError:
    """408."""
    message = "The request's headers did not arrive in time."
    return GatewayError(ErrorClass.CALLER, 408, message, INVALID_REQUEST, "request_timeout")
