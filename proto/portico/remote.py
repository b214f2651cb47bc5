"""The gateway's protocol over a gRPC channel: a thin client of a core in another process."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from grpc_status import rpc_status

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.status import core_unavailable, from_status
from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    GetModelRequest,
    GetModelResponse,
    GetStatusRequest,
    GetStatusResponse,
    ListModelsRequest,
    ListModelsResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.receipt_pb2 import Receipt

if TYPE_CHECKING:
    from portico.v1.gateway_pb2_grpc import GatewayServiceAsyncStub

Q = TypeVar("Q")
R = TypeVar("R")

#: Trailing metadata with a serialised Receipt.
RECEIPT: Final = "portico-receipt-bin"

#: Largest message in either direction. Images and documents travel inside requests.
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024

#: Metadata and trailers, error details included, in either direction.
MAX_METADATA_BYTES: Final = 64 * 1024

#: Schemes of gRPC targets that may stand for several cores. A bare HOST:PORT is none of them: `localhost`
#: has an address of either family, and spreading over both would keep dialling the one that is not bound.
SEVERAL: Final = ("dns:", "ipv4:", "ipv6:")

# Calls go to the cores in turn, and none to a core whose health says that it drains.
_SPREAD: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "portico.v1.GatewayService"},
    }
)


def channel_options(max_message_bytes: int = MAX_MESSAGE_BYTES) -> list[tuple[str, int | str]]:
    """Return options for a channel to a core; each differs from gRPC's default for a reason."""
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        # Back within a second or so when the core is: the default waits up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # The core is ours: a proxy for the way out is not meant for it.
        ("grpc.enable_http_proxy", 0),
        # Notice a dead peer during long silence.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without bandwidth probing a slow reader holds back its stream at 95 KiB rather than 6 MiB.
        ("grpc.http2.bdp_probe", 0),
    ]


def options_for(target: str) -> list[tuple[str, int | str]]:
    """Return ``channel_options()``, with balancing where ``target`` may name several cores.

    That is ``dns:///core.internal:50051``, or addresses one by one: ``ipv4:10.0.0.1:50051,10.0.0.2:50051``.
    """
    spread = [("grpc.service_config", _SPREAD)] if target.startswith(SEVERAL) else []
    return [*channel_options(), *spread]


class RemoteGateway:
    """A ``Gateway`` that calls a core over a channel. It owns nothing: the caller closes the channel."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub: GatewayServiceAsyncStub = GatewayServiceStub(channel)

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        return await _unary(self._stub.Chat, request, context)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        return _stream(self._stub.Stream, request, context)

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        return await _unary(self._stub.Complete, request, context)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        return _stream(self._stub.StreamComplete, request, context)

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        return await _unary(self._stub.Embed, request, context)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        return await _unary(self._stub.ListModels, request, context)

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        return await _unary(self._stub.GetModel, request, context)

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        return await _unary(self._stub.GetStatus, request, context)


async def _unary(method: aio.UnaryUnaryMultiCallable[Q, R], request: Q, context: CallContext) -> R:
    call = method(request, timeout=context.remaining(), metadata=metadata_of(context))
    try:
        response = await call
        context.receipt = receipt_in(await call.trailing_metadata())
    except aio.AioRpcError as error:
        context.receipt = receipt_in(error.trailing_metadata())
        raise error_of(error) from None
    except asyncio.CancelledError:
        _raise_unless_ours()
        raise
    else:
        return response
    finally:
        call.cancel()


async def _stream(
    method: aio.UnaryStreamMultiCallable[Q, R], request: Q, context: CallContext
) -> AsyncGenerator[R, None]:
    call = method(request, timeout=context.remaining(), metadata=metadata_of(context))
    try:
        async for response in call:
            yield response
        context.receipt = receipt_in(await call.trailing_metadata())
    except aio.AioRpcError as error:
        context.receipt = receipt_in(error.trailing_metadata())
        raise error_of(error) from None
    except asyncio.CancelledError:
        _raise_unless_ours()
        raise
    finally:
        call.cancel()


def _raise_unless_ours() -> None:
    """Tell a core that cancelled the call (it is draining) from a caller who left.

    grpc.aio raises CancelledError for both; only in the second case was this task cancelled.
    """
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise core_unavailable("the core cancelled the call") from None


def metadata_of(context: CallContext) -> tuple[tuple[str, str], ...]:
    """Return what travels beside a request; the deadline is the RPC's own."""
    pairs = (
        ("x-request-id", context.request_id),
        ("authorization", context.authorization),
        ("x-portico-key", context.key),
        ("traceparent", context.traceparent),
    )
    return tuple((name, value) for name, value in pairs if value)


def receipt_in(trailers: Iterable[tuple[str, str | bytes]] | None) -> Receipt | None:
    """Return the receipt among trailing metadata. None: there is none that can be read."""
    for name, value in trailers or ():
        if name == RECEIPT and isinstance(value, bytes):
            try:
                return Receipt.FromString(value)
            except DecodeError:
                return None
    return None


def error_of(failed: grpc.RpcError) -> GatewayError:
    """Return the error that a failed call, of grpc or grpc.aio, stands for."""
    try:
        status = rpc_status.from_call(failed)  # type: ignore[arg-type]
    except (ValueError, DecodeError):
        # Details that do not match the code, or no details at all: some proxy's. The code alone decides.
        status = None
    return from_status(failed.code(), failed.details() or "", status)
