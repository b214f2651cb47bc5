"""The gateway's protocol over a gRPC channel: a thin client of a core in another process."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final, TypeVar

from grpc import aio
from grpc_status import rpc_status

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.status import core_unavailable, from_status
from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    GetModelRequest,
    GetModelResponse,
    GetStatusRequest,
    GetStatusResponse,
    ListModelsRequest,
    ListModelsResponse,
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

_MAX_METADATA_BYTES: Final = 64 * 1024


def channel_options(max_message_bytes: int = MAX_MESSAGE_BYTES) -> list[tuple[str, int | str]]:
    """Return options for a channel to a core; each differs from gRPC's default for a reason."""
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        # Back within a second or so when the core is: the default waits up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # Notice a dead peer during long silence.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without bandwidth probing a slow reader holds back its stream at 95 KiB rather than 6 MiB.
        ("grpc.http2.bdp_probe", 0),
    ]


class RemoteGateway:
    """A ``Gateway`` that calls a core over a channel. It owns nothing: the caller closes the channel."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub: GatewayServiceAsyncStub = GatewayServiceStub(channel)

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        call = self._stub.Chat(request, timeout=context.remaining(), metadata=_metadata(context))
        return await _unary(call, context)

    async def stream(
        self, request: StreamRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamResponse, None]:
        call = self._stub.Stream(request, timeout=context.remaining(), metadata=_metadata(context))
        try:
            async for response in call:
                yield response
            context.receipt = _receipt(await call.trailing_metadata())
        except aio.AioRpcError as error:
            context.receipt = _receipt(error.trailing_metadata())
            raise _from_rpc(error) from None
        except asyncio.CancelledError:
            _raise_unless_ours()
            raise
        finally:
            call.cancel()

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        call = self._stub.ListModels(request, timeout=context.remaining(), metadata=_metadata(context))
        return await _unary(call, context)

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        call = self._stub.GetModel(request, timeout=context.remaining(), metadata=_metadata(context))
        return await _unary(call, context)

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        call = self._stub.GetStatus(request, timeout=context.remaining(), metadata=_metadata(context))
        return await _unary(call, context)


async def _unary(call: aio.UnaryUnaryCall[Q, R], context: CallContext) -> R:
    try:
        response = await call
        context.receipt = _receipt(await call.trailing_metadata())
    except aio.AioRpcError as error:
        context.receipt = _receipt(error.trailing_metadata())
        raise _from_rpc(error) from None
    except asyncio.CancelledError:
        _raise_unless_ours()
        raise
    else:
        return response
    finally:
        call.cancel()


def _raise_unless_ours() -> None:
    """Tell a core that cancelled the call (it is draining) from a caller who left.

    grpc.aio raises CancelledError for both; only in the second case was this task cancelled.
    """
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise core_unavailable("the core cancelled the call") from None


def _metadata(context: CallContext) -> tuple[tuple[str, str], ...]:
    pairs = (
        ("x-request-id", context.request_id),
        ("authorization", context.authorization),
        ("traceparent", context.traceparent),
    )
    return tuple((name, value) for name, value in pairs if value)


def _receipt(trailers: aio.Metadata | None) -> Receipt | None:
    value = trailers.get(RECEIPT) if trailers is not None else None
    return Receipt.FromString(value) if isinstance(value, bytes) else None


def _from_rpc(error: aio.AioRpcError) -> GatewayError:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        # Details that do not match the code: some proxy's. The code alone decides.
        status = None
    return from_status(error.code(), error.details() or "", status)
