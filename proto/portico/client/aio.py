"""The client for asyncio: the same calls as ``Client``, to be awaited."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import Self, TypeVar, Unpack

from grpc import ChannelCredentials, aio

from portico.client.answers import ChatAnswer, EmbedAnswer, TextAnswer, beside
from portico.client.assemble import assemble
from portico.client.errors import api_error
from portico.client.messages import chat_request, embed_request, text_request
from portico.client.options import CallOptions, credentials, defaults
from portico.client.streams import (
    C,
    OnEvent,
    Received,
    Response,
    StreamClosedError,
    chat_text,
    completion_text,
)
from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.remote import RemoteGateway, options_for
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.completions_pb2 import TextCompletion, TextCompletionParams
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatRequest,
    CompleteRequest,
    GetModelRequest,
    GetStatusRequest,
    GetStatusResponse,
    ListModelsRequest,
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model

R = TypeVar("R")


class AsyncClient:
    """Calls a gateway's core over gRPC, in one event loop. Cancelling a task cancels its call.

    Every call takes the keyword arguments of ``CallOptions`` and raises ``APIError``. Nothing is tried
    again: the gateway has tried its backends already.
    """

    def __init__(
        self,
        target: str | aio.Channel,
        *,
        api_key: str | None = None,
        timeout: float | None = None,
        tls: bool | ChannelCredentials = False,
    ) -> None:
        """Dial ``target`` when the first call is made; arguments as in ``Client``."""
        self._defaults = defaults(api_key, timeout)
        self._target = target
        self._credentials = credentials(tls)
        self._owned: aio.Channel | None = None
        self._remote: RemoteGateway | None = None

    @property
    def _gateway(self) -> RemoteGateway:
        # A channel belongs to the loop it is made in, so it is made by the first call: a client may be
        # made at import.
        if self._remote is None:
            channel = self._target
            if isinstance(channel, str):
                self._owned = channel = _dial(channel, self._credentials)
            self._remote = RemoteGateway(channel)
        return self._remote

    async def aclose(self) -> None:
        """Give the connections back. Calls that still run fail with ``UnavailableError``."""
        if self._owned is not None:
            await self._owned.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def chat(
        self,
        model: str | None = None,
        messages: str | Sequence[ChatMessage] | None = None,
        *,
        params: ChatCompletionParams | None = None,
        **options: Unpack[CallOptions],
    ) -> ChatAnswer:
        """Answer a chat.

        ``messages``: a text of the user, or the conversation, oldest first. ``params``: everything else
        that may be asked for; a model and messages beside it replace those in it.
        """
        context, headers = self._defaults.prepare(**options)
        request = chat_request(ChatRequest, model, messages, params, headers)
        response = await _mapped(self._gateway.chat(request, context), context)
        return ChatAnswer(*beside(response, context), response.completion)

    def stream(
        self,
        model: str | None = None,
        messages: str | Sequence[ChatMessage] | None = None,
        *,
        params: ChatCompletionParams | None = None,
        on_event: OnEvent | None = None,
        restart: bool = False,
        **options: Unpack[CallOptions],
    ) -> "AsyncChatStream":
        """Answer a chat chunk by chunk; arguments as in ``chat``.

        The request leaves when the stream is first read, and failures show then; its time runs from here.
        ``on_event`` and ``restart`` as in ``Client.stream``.
        """
        context, headers = self._defaults.prepare(**options)
        request = chat_request(StreamRequest, model, messages, params, headers)
        request.events, request.restart = on_event is not None, restart
        responses = self._gateway.stream(request, context)
        return AsyncChatStream(responses, context, StreamResponse(), on_event)

    async def complete(
        self,
        model: str | None = None,
        prompt: str | Sequence[str] | None = None,
        *,
        params: TextCompletionParams | None = None,
        **options: Unpack[CallOptions],
    ) -> TextAnswer:
        """Continue a text, or each of several; ``params`` as in ``chat``."""
        context, headers = self._defaults.prepare(**options)
        request = text_request(CompleteRequest, model, prompt, params, headers)
        response = await _mapped(self._gateway.complete(request, context), context)
        return TextAnswer(*beside(response, context), response.completion)

    def stream_complete(
        self,
        model: str | None = None,
        prompt: str | Sequence[str] | None = None,
        *,
        params: TextCompletionParams | None = None,
        **options: Unpack[CallOptions],
    ) -> "AsyncTextStream":
        """Continue a text piece by piece; arguments as in ``complete``, begins as ``stream`` does."""
        context, headers = self._defaults.prepare(**options)
        request = text_request(StreamCompleteRequest, model, prompt, params, headers)
        responses = self._gateway.stream_complete(request, context)
        return AsyncTextStream(responses, context, StreamCompleteResponse())

    async def embed(
        self,
        model: str | None = None,
        texts: str | Sequence[str] | None = None,
        *,
        params: EmbeddingParams | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbedAnswer:
        """Embed a text, or each of several; ``params`` as in ``chat``."""
        context, headers = self._defaults.prepare(**options)
        request = embed_request(model, texts, params, headers)
        response = await _mapped(self._gateway.embed(request, context), context)
        return EmbedAnswer(*beside(response, context), response.embeddings)

    async def models(self, **options: Unpack[CallOptions]) -> list[Model]:
        """Return the models that route."""
        context, headers = self._defaults.prepare(**options)
        request = ListModelsRequest(headers=headers)
        return list((await _mapped(self._gateway.list_models(request, context), context)).models)

    async def model(self, name: str, **options: Unpack[CallOptions]) -> Model:
        """Return one of them; ``NotFoundError`` where the name does not route."""
        context, headers = self._defaults.prepare(**options)
        request = GetModelRequest(id=name, headers=headers)
        return (await _mapped(self._gateway.get_model(request, context), context)).model

    async def status(self, **options: Unpack[CallOptions]) -> GetStatusResponse:
        """Return how the gateway and its backends are doing."""
        context, _ = self._defaults.prepare(**options)
        return await _mapped(self._gateway.get_status(GetStatusRequest(), context), context)


class _Stream(Received[C]):
    """Iterates over chunks. Leave its ``async with`` block, or close it, to stop the backend early."""

    def __init__(
        self,
        responses: AsyncGenerator[Response[C], None],
        context: CallContext,
        whole: Response[C],
        on_event: OnEvent | None = None,
    ) -> None:
        super().__init__(context, whole, on_event)
        self._responses = responses
        # A generator that was broken off ends as one that was read out does: remember which it was.
        self._ended = False
        self._broken: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> C:
        while not self._ready:
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            self._take(await anext(self._responses))
        except StopAsyncIteration:
            self._ended = True
            raise
        except GatewayError as error:
            self._broken = api_error(error, self._context)
            raise self._broken from None
        except asyncio.CancelledError:
            self._broken = StreamClosedError("a read of the stream was cancelled")
            raise

    async def aclose(self) -> None:
        """Cancel the call if it still runs; reading on raises StreamClosedError.

        For the task that reads. To stop a read from elsewhere, cancel its task.
        """
        if not self._ended and self._broken is None:
            self._broken = StreamClosedError("the stream was closed before its end")
        self._ready.clear()
        await self._responses.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncChatStream(_Stream[ChatChunk]):
    """A chat completion, chunk by chunk."""

    _whole: StreamResponse

    async def text(self) -> AsyncIterator[str]:
        """Iterate over the pieces of the first choice's text instead of chunks."""
        async for chunk in self:
            if text := chat_text(chunk):
                yield text

    async def answer(self) -> ChatAnswer:
        """Read what is left, and return what ``chat`` would have, chunks read before included."""
        async for _ in self:
            pass
        return ChatAnswer(*beside(self._whole, self._context), assemble(self._whole))


class AsyncTextStream(_Stream[TextCompletion]):
    """A text completion, piece by piece."""

    async def text(self) -> AsyncIterator[str]:
        """Iterate over the pieces of the first choice's text instead of chunks."""
        async for chunk in self:
            if text := completion_text(chunk):
                yield text


def _dial(target: str, secure: ChannelCredentials | None) -> aio.Channel:
    options = options_for(target)
    return aio.secure_channel(target, secure, options) if secure else aio.insecure_channel(target, options)


async def _mapped(call: Awaitable[R], context: CallContext) -> R:
    try:
        return await call
    except GatewayError as error:
        raise api_error(error, context) from None
