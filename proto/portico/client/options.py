"""What a call takes beside its request, and what a client keeps for all of its calls."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import TypedDict

import grpc

from portico.gateway import CallContext
from portico.secret import Secret
from portico.v1.headers_pb2 import Header


class CallOptions(TypedDict, total=False):
    """Keyword arguments that every call of a client takes."""

    #: Seconds until the call, a stream to its end included, fails with DeadlineExceededError.
    #: Absent: the client's. None: no limit but the gateway's own.
    timeout: float | None
    #: HTTP headers for the backends that use the caller's; text is sent as UTF-8.
    headers: Mapping[str, str | bytes]
    #: Finds the call in every log; made up when absent.
    request_id: str
    #: The W3C trace context that the call belongs to.
    traceparent: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a client keeps for all of its calls."""

    api_key: Secret
    timeout: float | None

    def prepare(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        headers: Mapping[str, str | bytes] | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> tuple[CallContext, list[Header]]:
        """Return what goes beside the request and the headers that go into it.

        Raises ValueError for a text that cannot be gRPC metadata.
        """
        seconds = self.timeout if isinstance(timeout, EllipsisType) else timeout
        key = self.api_key.reveal()
        context = CallContext(
            request_id=_metadata("request_id", request_id or f"req_{uuid.uuid4().hex}"),
            authorization=f"Bearer {key}" if key else None,
            traceparent=_metadata("traceparent", traceparent) if traceparent else None,
            deadline=None if seconds is None else time.monotonic() + seconds,
        )
        return context, [_header(name, value) for name, value in (headers or {}).items()]


def defaults(api_key: str | None, timeout: float | None) -> Defaults:
    """Return a client's defaults. Raises ValueError for a key that cannot be gRPC metadata."""
    return Defaults(Secret(_metadata("api_key", api_key) if api_key else ""), timeout)


def credentials(tls: bool | grpc.ChannelCredentials) -> grpc.ChannelCredentials | None:
    """Return what to dial with. None: plain text."""
    if tls is True:
        return grpc.ssl_channel_credentials()
    return tls or None


def _metadata(name: str, value: str) -> str:
    # gRPC's own complaint comes late and does not say which value it means.
    if value.isascii() and value.isprintable():
        return value
    raise ValueError(f"{name} must be printable ASCII, without line breaks")


def _header(name: str, value: str | bytes) -> Header:
    return Header(name=name.lower(), value=value.encode() if isinstance(value, str) else value)
