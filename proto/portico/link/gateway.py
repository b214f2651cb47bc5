"""The gateway's protocol over links, and over single RPCs where no link will do."""

from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Final, TypeVar

from portico.gateway import CallContext, Gateway
from portico.link.link import Link
from portico.link.v1.link_pb2 import Method
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

R = TypeVar("R", ChatResponse, CompleteResponse, EmbedResponse)
S = TypeVar("S", StreamResponse, StreamCompleteResponse)

# Bytes. A larger request takes an RPC: it gains little, and would be in the way of the others' tokens.
_LARGEST: Final = 64 * 1024


class LinkedGateway:
    """A ``Gateway`` that takes a link where there is one, and else ``remote``."""

    def __init__(self, remote: Gateway, pick: Callable[[], Link | None]) -> None:
        self._remote = remote
        self._pick = pick

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return await self._remote.chat(request, context)
        return await _unary(link, Method.METHOD_CHAT, data, context, ChatResponse)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return self._remote.stream(request, context)
        return _stream(link, Method.METHOD_STREAM, data, context, StreamResponse)

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return await self._remote.complete(request, context)
        return await _unary(link, Method.METHOD_COMPLETE, data, context, CompleteResponse)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return self._remote.stream_complete(request, context)
        return _stream(link, Method.METHOD_STREAM_COMPLETE, data, context, StreamCompleteResponse)

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return await self._remote.embed(request, context)
        return await _unary(link, Method.METHOD_EMBED, data, context, EmbedResponse)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        return await self._remote.list_models(request, context)

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        return await self._remote.get_model(request, context)

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        return await self._remote.get_status(request, context)

    def _link(self, request: bytes) -> Link | None:
        return self._pick() if len(request) <= _LARGEST else None


async def _unary(
    link: Link, method: Method.ValueType, request: bytes, context: CallContext, kind: type[R]
) -> R:
    answer = b""
    with closing(link.begin(method, request, context)) as exchange:
        try:
            while (data := await exchange.next()) is not None:
                answer = data
        finally:
            context.receipt = exchange.receipt
    return kind.FromString(answer)


async def _stream(
    link: Link, method: Method.ValueType, request: bytes, context: CallContext, kind: type[S]
) -> AsyncGenerator[S, None]:
    with closing(link.begin(method, request, context)) as exchange:
        try:
            while (data := await exchange.next()) is not None:
                yield kind.FromString(data)
        finally:
            context.receipt = exchange.receipt
