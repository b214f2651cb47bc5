"""The gateway's protocol over links, and over single RPCs where no link will do."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, closing
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from portico.errors import internal
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

Q = TypeVar("Q", ChatRequest, StreamRequest, CompleteRequest, StreamCompleteRequest, EmbedRequest)
R = TypeVar("R", ChatResponse, StreamResponse, CompleteResponse, StreamCompleteResponse, EmbedResponse)

#: Bytes. A larger request takes an RPC: it gains little, and would be in the way of the others' tokens.
LARGEST: Final = 64 * 1024


class LinkedGateway:
    """A ``Gateway`` that takes a link where there is one, and else ``remote``."""

    def __init__(self, remote: Gateway, pick: Callable[[], Link | None]) -> None:
        self._remote = remote
        self._pick = pick

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        return await self._unary(Method.METHOD_CHAT, self._remote.chat, request, context, ChatResponse)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        return self._stream(Method.METHOD_STREAM, self._remote.stream, request, context, StreamResponse)

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        remote = self._remote.complete
        return await self._unary(Method.METHOD_COMPLETE, remote, request, context, CompleteResponse)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        remote = self._remote.stream_complete
        return self._stream(Method.METHOD_STREAM_COMPLETE, remote, request, context, StreamCompleteResponse)

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        return await self._unary(Method.METHOD_EMBED, self._remote.embed, request, context, EmbedResponse)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        return await self._remote.list_models(request, context)

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        return await self._remote.get_model(request, context)

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        return await self._remote.get_status(request, context)

    async def _unary(
        self,
        method: Method.ValueType,
        remote: Callable[[Q, CallContext], Awaitable[R]],
        request: Q,
        context: CallContext,
        kind: type[R],
    ) -> R:
        data = request.SerializeToString()
        if (link := self._link(data)) is None:
            return await remote(request, context)
        answer = None
        with closing(link.begin(method, data, context)) as exchange:
            try:
                while (message := await exchange.next()) is not None:
                    answer = message
            finally:
                context.receipt = exchange.receipt
        if answer is None:
            raise internal("the core ended a call without an answer")
        return _parsed(kind, answer)

    async def _stream(
        self,
        method: Method.ValueType,
        remote: Callable[[Q, CallContext], AsyncGenerator[R, None]],
        request: Q,
        context: CallContext,
        kind: type[R],
    ) -> AsyncGenerator[R, None]:
        data = request.SerializeToString()
        # Not before the first answer is asked for: the link that there was when the stream was made may have
        # left meanwhile.
        if (link := self._link(data)) is None:
            async with aclosing(remote(request, context)) as answers:
                async for answer in answers:
                    yield answer
            return
        with closing(link.begin(method, data, context)) as exchange:
            # Neither what was asked nor what was answered is kept while the stream waits.
            del request, data
            try:
                while (message := await exchange.next()) is not None:
                    answer, message = _parsed(kind, message), None
                    yield answer
                    del answer
            finally:
                context.receipt = exchange.receipt

    def _link(self, request: bytes) -> Link | None:
        return self._pick() if len(request) <= LARGEST else None


def _parsed(kind: type[R], answer: bytes) -> R:
    try:
        return kind.FromString(answer)
    except DecodeError as error:
        raise internal(f"the core sent an answer that cannot be read: {error}") from None
