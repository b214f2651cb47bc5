"""HTTP headers on their way through: what travels on, what comes back. Pure functions."""

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote

from portico.errors import AUTHENTICATION, INVALID_REQUEST, QUOTA, ErrorClass, GatewayError
from portico.v1.gateway_pb2 import (
    ChatRequest,
    CompleteRequest,
    EmbedRequest,
    GetModelRequest,
    ListModelsRequest,
    StreamCompleteRequest,
    StreamRequest,
)
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Receipt, Served
from portico.v1.usage_pb2 import UsageSource
from portico_facade.request import Request

#: The requests that the caller's headers go on with.
Forwarding: TypeAlias = (
    ChatRequest
    | StreamRequest
    | CompleteRequest
    | StreamCompleteRequest
    | EmbedRequest
    | ListModelsRequest
    | GetModelRequest
)

#: What the contract allows for ``ChatRequest.headers``.
MAX_HEADER_BYTES: Final = 32 * 1024

# First those that concern one connection only (RFC 9110, 7.6.1), then those that describe the body we have
# taken apart, then those that travel beside the request.
_NOT_FORWARDED: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "host", "expect"),
        *("accept", "accept-encoding", "content-encoding", "content-length", "content-type"),
        *("x-request-id", "traceparent", "x-portico-key"),
    }
)

# What a backend may not decide: how this answer is framed, and what we say of it ourselves.
_NOT_RETURNED: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "date", "server", "set-cookie", "allow"),
        *("content-encoding", "content-length", "content-type", "retry-after", "retry-after-ms"),
        *("vary", "cache-control", "etag", "location", "alt-svc", "strict-transport-security"),
        *("x-request-id", "x-should-retry", "openai-processing-ms"),
        *("x-portico-model", "x-portico-attempts", "x-portico-dropped", "x-portico-usage"),
    }
)

# Which pages may read it, and what a proxy before us is to do with it.
_FAMILIES_NOT_RETURNED: Final = ("access-control-", "x-accel-", "x-sendfile")

# Said only where it was not the backend.
_COUNTED_BY: Final[dict[int, str]] = {
    UsageSource.USAGE_SOURCE_COUNTED: "counted",
    UsageSource.USAGE_SOURCE_ESTIMATED: "estimated",
}

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")
_SHORT: Final = re.compile(r"[\x20-\x7e]{1,128}")


def forward(request: Request, to: Forwarding) -> None:
    """Give the caller's headers to a request for the core: names in lower case, values as received.

    Raises 431 above 32 KiB.
    """
    connection = request.headers.get("connection", "").lower()
    named = {token.strip() for token in connection.split(",")}
    kept = [
        (name, value.encode("latin-1"))
        for name, value in request.pairs
        if name not in _NOT_FORWARDED and name not in named
    ]
    if sum([len(name) + len(value) for name, value in kept]) > MAX_HEADER_BYTES:
        raise headers_too_large()
    for name, value in kept:
        to.headers.add(name=name, value=value)


def headers_too_large() -> GatewayError:
    """431."""
    message = f"The request's headers are larger than this gateway takes ({MAX_HEADER_BYTES:,} bytes)."
    return GatewayError(ErrorClass.CALLER, 431, message, INVALID_REQUEST, "headers_too_large")


def request_id(headers: Mapping[str, str]) -> str:
    """Return the caller's x-request-id, or a new one where it sent none that fits a log line."""
    sent = headers.get("x-request-id")
    return sent if sent is not None and _SHORT.fullmatch(sent) else new_request_id()


def new_request_id() -> str:
    """Make an id in the form of OpenAI's."""
    # It guards nothing: the system's random bytes would take four times as long.
    return f"req_{random.getrandbits(128):032x}"


def traceparent(headers: Mapping[str, str]) -> str | None:
    """Return the caller's W3C trace context, unless gRPC metadata cannot carry it."""
    sent = headers.get("traceparent")
    return sent if sent is not None and _SHORT.fullmatch(sent) else None


def authorization(headers: Mapping[str, str]) -> str | None:
    """Return the caller's authorization; 401 where gRPC metadata, which is ASCII, cannot carry it."""
    return _key_in(headers, "Authorization")


def gateway_key(headers: Mapping[str, str]) -> str | None:
    """Return the caller's key for the gateway, where Authorization is meant for the backend."""
    return _key_in(headers, "X-Portico-Key")


def _key_in(headers: Mapping[str, str], name: str) -> str | None:
    sent = headers.get(name.lower())
    if sent is None or _PLAIN.fullmatch(sent):
        return sent
    message = f"The {name} header holds characters that no key has."
    raise GatewayError(ErrorClass.CREDENTIAL, 401, message, AUTHENTICATION, "invalid_api_key")


def returned(headers: Iterable[Header]) -> Iterator[tuple[str, str]]:
    """Give those of a backend's headers that may stand in our answer."""
    for header in headers:
        name, value = header.name.lower(), header.value.decode("latin-1")
        ours = name in _NOT_RETURNED or name.startswith(_FAMILIES_NOT_RETURNED)
        if not ours and _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            yield name, value


def of_error(error: GatewayError) -> Iterator[tuple[str, str]]:
    """Give the headers that tell a client what to do about an error, as OpenAI's SDKs read them."""
    yield from returned(error.headers)
    if error.retry_after is not None and 0 <= error.retry_after < math.inf:
        yield "Retry-After", str(math.ceil(error.retry_after))
        yield "Retry-After-Ms", str(math.ceil(error.retry_after * 1000))
    if QUOTA in (error.code, error.type):
        # No wait mends a quota.
        yield "X-Should-Retry", "false"


def served_by(served: Served) -> str:
    """Return ``backend/model`` as a header's value; percent-encoded where it is not ASCII."""
    name = f"{served.backend}/{served.model}"
    return name if _PLAIN.fullmatch(name) else quote(name, safe="/:@ ")


def of_receipt(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """Yield what a receipt adds to an unstreamed answer."""
    if receipt.attempts:
        yield "X-Portico-Attempts", str(len(receipt.attempts))
    source = _COUNTED_BY.get(receipt.usage.source)
    if source is not None:
        yield "X-Portico-Usage", source


def listed(names: Iterable[str]) -> str:
    """Return names as a header's value, percent-encoded where they are not ASCII."""
    return ", ".join(name if _PLAIN.fullmatch(name) else quote(name, safe="[]./:@ ") for name in names)
