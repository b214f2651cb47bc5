"""Another Portico as a backend: its core, over gRPC.

Requests and answers cross as the messages they are, so nothing is translated and nothing is lost. The
other gateway routes, retries and times its own backends; this one sees it as a single backend.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

import grpc
from grpc import aio

from portico.adapter import CompletionCall, EmbeddingCall, Limits, Upstream, UpstreamCall
from portico.errors import ErrorClass, GatewayError, from_upstream, upstream_failed
from portico.gateway import CallContext
from portico.remote import RemoteGateway, options_for
from portico.secret import Secret
from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    ListModelsRequest,
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._hops import HOPS_HEADER, one_hop_on, onward
from portico_adapters._passing import PassingSettings

Q = TypeVar("Q")
R = TypeVar("R")

_TARGET: Final = re.compile(r"unix:\S+|(dns:///|ipv4:|ipv6:)?[^\s/]+:\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePorticoSettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: HOST:PORT, unix:/PATH, or dns:///NAME:PORT to spread calls over all addresses of a name.
    target: str
    #: This gateway's key at the other one. None: it wants none.
    api_key: Secret | None = None
    #: Whether the other core is behind TLS.
    tls: bool = False

    def __post_init__(self) -> None:
        # Our key is for the other gateway; the caller's, where it is passed, is for that one's backends.
        self.check_passing(has_key=False)
        if not _TARGET.fullmatch(self.target):
            raise ValueError("target: expected HOST:PORT, unix:/PATH or dns:///NAME:PORT")
        key = self.api_key.reveal() if self.api_key else ""
        if key and not (key.isascii() and key.isprintable()):
            raise ValueError("api_key: must be printable ASCII without line breaks")


class RemotePorticoAdapter:
    """Calls the GatewayService of another core.

    The other gateway sees this one's key, the request id, the trace and the deadline, and of the
    caller's headers those that the settings name.
    """

    Settings: ClassVar[type[RemotePorticoSettings]] = RemotePorticoSettings

    def __init__(self, _name: str, settings: RemotePorticoSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._authorization = f"Bearer {settings.api_key.reveal()}" if settings.api_key else None
        self.lists_by_caller = settings.lists_by_caller
        # gRPC binds a channel to the running loop: the first call makes it.
        self._channel: aio.Channel | None = None

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        request = ChatRequest(params=call.params, headers=self._headers(call.headers))
        request.params.model = call.model
        return await self._ask(self._gateway().chat, request, call)

    def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        request = StreamRequest(params=call.params, headers=self._headers(call.headers))
        request.params.model = call.model
        return self._follow(self._gateway().stream, request, call)

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        request = CompleteRequest(params=call.params, headers=self._headers(call.headers))
        request.params.model = call.model
        return await self._ask(self._gateway().complete, request, call)

    def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        request = StreamCompleteRequest(params=call.params, headers=self._headers(call.headers))
        request.params.model = call.model
        return self._follow(self._gateway().stream_complete, request, call)

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        request = EmbedRequest(params=call.params, headers=self._headers(call.headers))
        request.params.model = call.model
        return await self._ask(self._gateway().embed, request, call)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        request = ListModelsRequest(headers=self._headers(headers))
        context = CallContext("", self._authorization)
        try:
            listed = await self._gateway().list_models(request, context)
        except GatewayError as error:
            raise _seen_from_here(error, context) from None
        return [model for model in listed.models if one_hop_on(model)]

    async def aclose(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _gateway(self) -> RemoteGateway:
        if self._channel is None:
            target = self._settings.target
            # The time that gRPC gives a connect has this name.
            connect = ("grpc.min_reconnect_backoff_ms", round(self._limits.connect_seconds * 1000))
            agent = ("grpc.primary_user_agent", self._settings.agent)
            options = list(dict([*options_for(target), connect, agent]).items())
            if self._settings.tls:
                self._channel = aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
            else:
                self._channel = aio.insecure_channel(target, options)
        return RemoteGateway(self._channel)

    def _headers(self, headers: Sequence[Header]) -> list[Header]:
        """Return the headers of a request. Raise GatewayError where it has come through too many gateways."""
        sent = {**self._settings.passed(headers), HOPS_HEADER: onward(headers)}
        return [Header(name=name, value=value.encode()) for name, value in sent.items()]

    def _context(self, call: Upstream[Any]) -> CallContext:
        return CallContext(call.request_id, self._authorization, call.traceparent, call.deadline)

    async def _ask(
        self, method: Callable[[Q, CallContext], Awaitable[R]], request: Q, call: Upstream[Any]
    ) -> R:
        context = self._context(call)
        try:
            response = await method(request, context)
        except GatewayError as error:
            raise _seen_from_here(error, context) from None
        call.alive()
        return response

    async def _follow(
        self, method: Callable[[Q, CallContext], AsyncGenerator[R, None]], request: Q, call: Upstream[Any]
    ) -> AsyncGenerator[R, None]:
        context = self._context(call)
        try:
            async with aclosing(method(request, context)) as responses:
                async for response in responses:
                    call.alive()
                    yield response
        except GatewayError as error:
            raise _seen_from_here(error, context) from None


def _seen_from_here(error: GatewayError, context: CallContext) -> GatewayError:
    """Return another gateway's error as one of a backend: most stay as they are.

    Its own failures are an upstream's, and a key that it refuses before it has tried a backend is ours.
    """
    tried = context.receipt is not None and len(context.receipt.attempts) > 0
    seen = error
    if error.error_class is ErrorClass.GATEWAY:
        if error.detail:
            # Not told by the other core, but found out on the way to it.
            return upstream_failed("The backend cannot be reached or broke off.", error.detail)
        seen = from_upstream(500, error.message, retry_after=error.retry_after, headers=error.headers)
    elif error.error_class is ErrorClass.CREDENTIAL and error.http_status in (401, 403) and not tried:
        seen = from_upstream(error.http_status, error.message)
    seen.upstream_status = error.http_status
    return seen
