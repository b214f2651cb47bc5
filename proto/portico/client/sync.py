"""The client for threads."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import grpc

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
from portico.gateway import CallContext
from portico.remote import error_of, metadata_of, options_for, receipt_in
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
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model

if TYPE_CHECKING:
    from grpc import _CallIterator

Q = TypeVar("Q")
R = TypeVar("R")


class Client:
    """Calls a gateway's core over gRPC. Threads may share one; make one per process, after any fork.

    Every call takes the keyword arguments of ``CallOptions`` and raises ``APIError``. Nothing is tried
    again: the gateway has tried its backends already.
    """

    def __init__(
        self,
        target: str | grpc.Channel,
        *,
        api_key: str | None = None,
        timeout: float | None = None,
        tls: bool | grpc.ChannelCredentials = False,
    ) -> None:
        """Dial ``target`` when the first call is made.

        ``target``: "host:50051"; "dns:///host:50051" to spread calls over all addresses of a name;
        "unix:/path"; or a channel of your own, which the client uses as it is and does not close.
        ``api_key``: a key for the gateway. ``timeout``: seconds for calls that give none; None: no limit
        but the gateway's own. ``tls``: True for the usual roots, or credentials; False: plain text.
        """
        self._defaults = defaults(api_key, timeout)
        self._owned: grpc.Channel | None = None
        if isinstance(target, str):
            secure, options = credentials(tls), options_for(target)
            self._owned = target = (
                grpc.secure_channel(target, secure, options)
                if secure
                else grpc.insecure_channel(target, options)
            )
        self._stub = GatewayServiceStub(target)

    def close(self) -> None:
        """Give the connections back. Calls that still run fail with ``UnavailableError``."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def chat(
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
        response = _call(self._stub.Chat, request, context)
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
    ) -> "ChatStream":
        """Answer a chat chunk by chunk; arguments as in ``chat``. Failures show when it is read.

        ``on_event`` is called with what becomes of the attempts, before the chunks that come after it.
        ``restart``: where a backend breaks off another may start over. Chunks that were read before the
        event RESTARTED are to be thrown away; ``answer`` does that itself.
        """
        context, headers = self._defaults.prepare(**options)
        request = chat_request(StreamRequest, model, messages, params, headers)
        request.events, request.restart = on_event is not None, restart
        responses = _begin(self._stub.Stream, request, context)
        return ChatStream(responses, context, StreamResponse(), on_event)

    def complete(
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
        response = _call(self._stub.Complete, request, context)
        return TextAnswer(*beside(response, context), response.completion)

    def stream_complete(
        self,
        model: str | None = None,
        prompt: str | Sequence[str] | None = None,
        *,
        params: TextCompletionParams | None = None,
        **options: Unpack[CallOptions],
    ) -> "TextStream":
        """Continue a text piece by piece; arguments as in ``complete``. Failures show when it is read."""
        context, headers = self._defaults.prepare(**options)
        request = text_request(StreamCompleteRequest, model, prompt, params, headers)
        return TextStream(
            _begin(self._stub.StreamComplete, request, context), context, StreamCompleteResponse()
        )

    def embed(
        self,
        model: str | None = None,
        texts: str | Sequence[str] | None = None,
        *,
        params: EmbeddingParams | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbedAnswer:
        """Embed a text, or each of several; ``params`` as in ``chat``."""
        context, headers = self._defaults.prepare(**options)
        response = _call(self._stub.Embed, embed_request(model, texts, params, headers), context)
        return EmbedAnswer(*beside(response, context), response.embeddings)

    def models(self, **options: Unpack[CallOptions]) -> list[Model]:
        """Return the models that route."""
        context, headers = self._defaults.prepare(**options)
        return list(_call(self._stub.ListModels, ListModelsRequest(headers=headers), context).models)

    def model(self, name: str, **options: Unpack[CallOptions]) -> Model:
        """Return one of them; ``NotFoundError`` where the name does not route."""
        context, headers = self._defaults.prepare(**options)
        return _call(self._stub.GetModel, GetModelRequest(id=name, headers=headers), context).model

    def status(self, **options: Unpack[CallOptions]) -> GetStatusResponse:
        """Return how the gateway and its backends are doing."""
        context, _ = self._defaults.prepare(**options)
        return _call(self._stub.GetStatus, GetStatusRequest(), context)


class _Stream(Received[C]):
    """Iterates over chunks. Leave its ``with`` block, or close it, to stop the backend early."""

    def __init__(
        self,
        call: "_CallIterator[Any]",
        context: CallContext,
        whole: Response[C],
        on_event: OnEvent | None = None,
    ) -> None:
        super().__init__(context, whole, on_event)
        self._call = call
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> C:
        while not self._ready:
            self._read()
        return self._ready.popleft()

    def _read(self) -> None:
        try:
            self._take(next(self._call))
        except StopIteration:
            self._context.receipt = receipt_in(self._call.trailing_metadata())
            raise
        except grpc.RpcError as failed:
            if self._closed and failed.code() is grpc.StatusCode.CANCELLED:
                raise StreamClosedError("the stream was closed before its end") from None
            raise _failure(failed, self._context) from None

    def close(self) -> None:
        """Cancel the call if it still runs. Any thread may: a read under way raises StreamClosedError."""
        self._closed = True
        self._ready.clear()
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ChatStream(_Stream[ChatChunk]):
    """A chat completion, chunk by chunk."""

    _whole: StreamResponse

    def text(self) -> Iterator[str]:
        """Iterate over the pieces of the first choice's text instead of chunks."""
        return filter(None, map(chat_text, self))

    def answer(self) -> ChatAnswer:
        """Read what is left, and return what ``chat`` would have, chunks read before included."""
        for _ in self:
            pass
        return ChatAnswer(*beside(self._whole, self._context), assemble(self._whole))


class TextStream(_Stream[TextCompletion]):
    """A text completion, piece by piece."""

    def text(self) -> Iterator[str]:
        """Iterate over the pieces of the first choice's text instead of chunks."""
        return filter(None, map(completion_text, self))


def _begin(
    method: "grpc.UnaryStreamMultiCallable[Q, R]", request: Q, context: CallContext
) -> "_CallIterator[R]":
    return method(request, timeout=context.remaining(), metadata=metadata_of(context))


def _call(method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, context: CallContext) -> R:
    try:
        response, call = method.with_call(request, timeout=context.remaining(), metadata=metadata_of(context))
    except grpc.RpcError as failed:
        raise _failure(failed, context) from None
    context.receipt = receipt_in(call.trailing_metadata())
    return response


def _failure(failed: grpc.RpcError, context: CallContext) -> Exception:
    context.receipt = receipt_in(failed.trailing_metadata())  # type: ignore[arg-type]
    return api_error(error_of(failed), context)
