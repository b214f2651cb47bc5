"""The gRPC skin over a gateway. Every handler has the same four beats, three of which ``Rpc`` holds:
read what travels beside the request, call the gateway, map the error, fill in the trailers.
"""

# ruff: noqa: N802 - names and arguments are the contract's

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from grpc_status import rpc_status

from portico.errors import GatewayError, internal, invalid_request
from portico.gateway import CallContext, Gateway
from portico.remote import RECEIPT
from portico.status import to_status
from portico.v1 import gateway_pb2 as pb
from portico.v1.gateway_pb2_grpc import GatewayServiceServicer

_log: Final = logging.getLogger("portico.service")

#: Longest x-request-id that is kept; instead of a longer one the gateway makes one up.
LONGEST_REQUEST_ID: Final = 128

# Asks clients not to repeat a call for which backends have been tried in turn already.
_NO_RETRY: Final = ("grpc-retry-pushback-ms", "-1")

_UNREADABLE: Final = (
    "The request cannot be read: its bytes are not the message of this RPC. "
    "Make the stubs of the caller from Portico's .proto files."
)

Context: TypeAlias = aio.ServicerContext[Any, Any]


def add_gateway(gateway: Gateway, server: aio.Server) -> None:
    """Let a server serve a gateway."""
    add_service(GatewayServicer(gateway), pb.DESCRIPTOR.services_by_name["GatewayService"], server)


def add_service(servicer: object, service: ServiceDescriptor, server: aio.Server) -> None:
    """Let a server serve what has a method, with an ``Rpc`` in it, for each of a service's.

    As the generated function does, but for requests that cannot be read: gRPC would answer UNKNOWN in its
    library's words.
    """
    handlers = {}
    for method in service.methods:
        streamed = method.server_streaming
        handler = grpc.unary_stream_rpc_method_handler if streamed else grpc.unary_unary_rpc_method_handler
        reads, writes = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        handlers[method.name] = handler(
            getattr(servicer, method.name), _reader(reads), writes.SerializeToString
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


def _reader(kind: type[Message]) -> Callable[[bytes], Message | None]:
    """Return what reads a request. None stands for one that cannot be read: ``Rpc`` refuses it."""

    def read(data: bytes) -> Message | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return read


class GatewayServicer(GatewayServiceServicer):
    """portico.v1.GatewayService over any ``Gateway``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def Chat(self, request: pb.ChatRequest, context: Context) -> pb.ChatResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.chat(request, call)

    # A coroutine that writes, not a generator: a cancelled one is ended there and then, while gRPC leaves
    # a cancelled generator to the garbage collector.
    async def Stream(self, request: pb.StreamRequest, context: Context) -> None:  # type: ignore[override]
        async with Rpc(request, context) as call:
            await _write(self._gateway.stream(request, call), context)

    async def Complete(self, request: pb.CompleteRequest, context: Context) -> pb.CompleteResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.complete(request, call)

    async def StreamComplete(  # type: ignore[override]
        self, request: pb.StreamCompleteRequest, context: Context
    ) -> None:
        async with Rpc(request, context) as call:
            await _write(self._gateway.stream_complete(request, call), context)

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.embed(request, call)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.list_models(request, call)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.get_model(request, call)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        async with Rpc(request, context) as call:
            return await self._gateway.get_status(request, call)


class Rpc:
    """``async with`` around the call of a gateway: metadata in, errors and trailers out."""

    def __init__(self, request: Message | None, context: Context) -> None:
        self._request = request
        self._rpc = context
        self._call = CallContext("")

    async def __aenter__(self) -> CallContext:
        call = self._call
        if self._request is None:
            await self._fail(invalid_request(_UNREADABLE))
        for name, value in self._rpc.invocation_metadata() or ():
            if name == "x-request-id" and len(value) <= LONGEST_REQUEST_ID:
                call.request_id = str(value)
            elif name == "authorization":
                call.authorization = str(value)
            elif name == "x-portico-key":
                call.key = str(value)
            elif name == "traceparent":
                call.traceparent = str(value)
        remaining = self._rpc.time_remaining()
        if remaining is not None:
            call.deadline = time.monotonic() + remaining
        return call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._rpc.set_trailing_metadata(self._trailers())
            return
        if not isinstance(error, Exception) or isinstance(error, aio.AbortError):
            return
        if isinstance(error, aio.BaseError):
            # Of a write. There is nobody to tell, and nothing to mend.
            raise asyncio.CancelledError from None
        if not isinstance(error, GatewayError):
            # Left alone, gRPC would show the exception to the caller.
            _log.error("rpc failed request_id=%s", self._call.request_id, exc_info=error)
            error = internal(repr(error))
        await self._fail(error)

    async def _fail(self, error: GatewayError) -> NoReturn:
        status = rpc_status.to_status(to_status(error))
        trailers = (*status.trailing_metadata, *self._trailers(failed=True))
        try:
            await self._rpc.abort(status.code, status.details, trailers)
        except aio.AbortError:
            raise
        except aio.BaseError:
            # It has ended meanwhile, as its connection has: left alone, gRPC would log it as our fault.
            raise asyncio.CancelledError from None

    def _trailers(self, *, failed: bool = False) -> tuple[tuple[str, str | bytes], ...]:
        receipt = self._call.receipt
        if receipt is None:
            return ()
        carried = (RECEIPT, receipt.SerializeToString())
        return (carried, _NO_RETRY) if failed and receipt.attempts else (carried,)


async def _write(responses: AsyncGenerator[Message, None], context: Context) -> None:
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)
