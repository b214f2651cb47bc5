"""The gRPC skin over a gateway. Every handler has the same four beats, three of which ``_Rpc`` holds:
read what travels beside the request, call the gateway, map the error, fill in the trailers.
"""

# ruff: noqa: N802 - names and arguments are the contract's

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message
from grpc import aio
from grpc_status import rpc_status

from portico.errors import GatewayError, internal
from portico.gateway import CallContext, Gateway
from portico.remote import RECEIPT
from portico.status import to_status
from portico.v1 import gateway_pb2 as pb
from portico.v1.gateway_pb2_grpc import GatewayServiceServicer

_log: Final = logging.getLogger("portico.service")

#: Longest x-request-id that is kept; instead of a longer one the gateway makes one up.
_LONGEST_REQUEST_ID: Final = 128

# Asks clients not to repeat a call for which backends have been tried in turn already.
_NO_RETRY: Final = ("grpc-retry-pushback-ms", "-1")

Context: TypeAlias = aio.ServicerContext[Any, Any]


class GatewayServicer(GatewayServiceServicer):
    """portico.v1.GatewayService over any ``Gateway``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def Chat(self, request: pb.ChatRequest, context: Context) -> pb.ChatResponse:
        async with _Rpc(context) as call:
            return await self._gateway.chat(request, call)

    # A coroutine that writes, not a generator: a cancelled one is ended there and then, while gRPC leaves
    # a cancelled generator to the garbage collector.
    async def Stream(self, request: pb.StreamRequest, context: Context) -> None:  # type: ignore[override]
        async with _Rpc(context) as call:
            await _write(self._gateway.stream(request, call), context)

    async def Complete(self, request: pb.CompleteRequest, context: Context) -> pb.CompleteResponse:
        async with _Rpc(context) as call:
            return await self._gateway.complete(request, call)

    async def StreamComplete(  # type: ignore[override]
        self, request: pb.StreamCompleteRequest, context: Context
    ) -> None:
        async with _Rpc(context) as call:
            await _write(self._gateway.stream_complete(request, call), context)

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        async with _Rpc(context) as call:
            return await self._gateway.embed(request, call)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        async with _Rpc(context) as call:
            return await self._gateway.list_models(request, call)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        async with _Rpc(context) as call:
            return await self._gateway.get_model(request, call)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        async with _Rpc(context) as call:
            return await self._gateway.get_status(request, call)


class _Rpc:
    """``async with`` around the call of a gateway: metadata in, errors and trailers out."""

    def __init__(self, context: Context) -> None:
        self._rpc = context
        self._call = CallContext("")

    async def __aenter__(self) -> CallContext:
        call = self._call
        for name, value in self._rpc.invocation_metadata() or ():
            if name == "x-request-id" and len(value) <= _LONGEST_REQUEST_ID:
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
            # A write that found the connection gone: there is nobody to tell, and nothing to mend.
            raise asyncio.CancelledError from None
        if not isinstance(error, GatewayError):
            # Left alone, gRPC would show the exception to the caller.
            _log.error("rpc failed request_id=%s", self._call.request_id, exc_info=error)
            error = internal(repr(error))
        status = rpc_status.to_status(to_status(error))
        await self._rpc.abort(
            status.code, status.details, (*status.trailing_metadata, *self._trailers(failed=True))
        )

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
