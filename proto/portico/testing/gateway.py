"""A scripted gateway in memory, for the tests of what calls one."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message

from portico.errors import unknown_model
from portico.gateway import CallContext
from portico.testing.watch import Watch
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
from portico.v1.models_pb2 import Model
from portico.v1.receipt_pb2 import Receipt

M = TypeVar("M", bound=Message)

#: A message is answered, an exception raised, an event waited for.
Step: TypeAlias = M | Exception | asyncio.Event


class Ended(Enum):
    """How a call ended."""

    WELL = "the script was played to its end"
    FAILED = "the script raised an error"
    CANCELLED = "the caller cancelled the call or closed the stream"


@dataclass(slots=True)
class Call:
    """A call as the gateway saw it."""

    #: Name of the Gateway's method, such as "stream".
    method: str
    request: Message
    context: CallContext
    #: None: it is running.
    ended: Ended | None = None


class FakeGateway:
    """A ``Gateway`` that plays a script per method and records its calls.

    Every call of a method plays the whole script of that method::

        gateway = FakeGateway()
        gateway.on_stream = [StreamResponse(...), go_on, StreamResponse(...), upstream_failed("…")]

    ``chat``, ``complete`` and ``embed`` return the first message of their scripts. Models come from
    ``models``, the status from ``status``; an error or an event in ``on_read`` is met first by each of
    their methods.
    """

    def __init__(self) -> None:
        self.on_chat: Sequence[Step[ChatResponse]] = []
        self.on_stream: Sequence[Step[StreamResponse]] = []
        self.on_complete: Sequence[Step[CompleteResponse]] = []
        self.on_stream_complete: Sequence[Step[StreamCompleteResponse]] = []
        self.on_embed: Sequence[Step[EmbedResponse]] = []
        self.on_read: Sequence[Exception | asyncio.Event] = []
        self.models: Sequence[Model] = []
        self.status = GetStatusResponse()
        #: What every context gets when its call ends.
        self.receipt: Receipt | None = None
        #: Every call so far, in order.
        self.calls: list[Call] = []
        self._watch = Watch()

    async def received(self, count: int = 1) -> Call:
        """Wait until ``count`` calls have come; return the last of them."""
        await self._watch.until(lambda: len(self.calls) >= count, f"{count} calls of the gateway")
        return self.calls[count - 1]

    async def ended(self, count: int = 1) -> Call:
        """Wait until the ``count``-th call has ended; return it."""
        call = await self.received(count)
        await self._watch.until(lambda: call.ended is not None, f"the end of call {count}")
        return call

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        return await self._first("chat", self.on_chat, request, context)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        return self._all("stream", self.on_stream, request, context)

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        return await self._first("complete", self.on_complete, request, context)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        return self._all("stream_complete", self.on_stream_complete, request, context)

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        return await self._first("embed", self.on_embed, request, context)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        with self._recorded("list_models", request, context):
            return await _read(self.on_read, ListModelsResponse(models=self.models))

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        with self._recorded("get_model", request, context):
            found = next((model for model in self.models if model.id == request.id), None)
            response = await _read(self.on_read, GetModelResponse(model=found))
            if found is None:
                raise unknown_model(request.id)
            return response

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        with self._recorded("get_status", request, context):
            return await _read(self.on_read, self.status)

    async def _first(
        self, method: str, script: Sequence[Step[M]], request: Message, context: CallContext
    ) -> M:
        with self._recorded(method, request, context):
            async with aclosing(_play(script)) as messages:
                return await anext(messages)

    async def _all(
        self, method: str, script: Sequence[Step[M]], request: Message, context: CallContext
    ) -> AsyncGenerator[M, None]:
        with self._recorded(method, request, context):
            async with aclosing(_play(script)) as messages:
                async for message in messages:
                    yield message

    @contextmanager
    def _recorded(self, method: str, request: Message, context: CallContext) -> Iterator[None]:
        call = Call(method, request, context)
        self.calls.append(call)
        self._watch.changed()
        try:
            yield
            call.ended = Ended.WELL
        except (asyncio.CancelledError, GeneratorExit):
            call.ended = Ended.CANCELLED
            raise
        except Exception:
            call.ended = Ended.FAILED
            raise
        finally:
            context.receipt = self.receipt
            self._watch.changed()


async def _play(script: Sequence[Step[M]]) -> AsyncGenerator[M, None]:
    for step in script:
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, Exception):
            raise step
        else:
            yield step


async def _read(script: Sequence[Exception | asyncio.Event], response: M) -> M:
    async with aclosing(_play([*script, response])) as messages:
        return await anext(messages)
