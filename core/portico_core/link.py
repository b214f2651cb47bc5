"""The core's end of links (portico/link/v1/link.proto): a skin over a gateway, as ``service`` is one."""

# ruff: noqa: N802 - names and arguments are the contract's

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from operator import attrgetter
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError
from grpc import aio

from portico.errors import GatewayError, internal, invalid_request, too_large, unavailable
from portico.gateway import CallContext, Gateway
from portico.link.outbox import Lane, Outbox
from portico.link.pieces import Joiner, pieces
from portico.link.v1.link_pb2 import (
    Begin,
    CallerFrame,
    CoreFrame,
    End,
    Hello,
    Method,
    OpenRequest,
    OpenResponse,
)
from portico.link.v1.link_pb2_grpc import LinkServiceServicer
from portico.remote import MAX_MESSAGE_BYTES
from portico.status import to_status
from portico.v1 import gateway_pb2 as pb

_log: Final = logging.getLogger("portico.link")

# Bytes of one call's answers on their way or waiting at the caller: a reader slower than its backend
# holds the backend back, and nobody else.
_CREDIT: Final = 128 * 1024
# Below the age at which the connection is asked to end (server).
_MAX_AGE_SECONDS: Final = 240
# Calls under way on one link.
_MOST_CALLS: Final = 16_384

# Method -> its request, what of a gateway answers it, and whether that is a stream.
_METHODS: Final[dict[int, tuple[Any, Callable[[Gateway], Callable[[Any, CallContext], Any]], bool]]] = {
    Method.METHOD_CHAT: (pb.ChatRequest, attrgetter("chat"), False),
    Method.METHOD_STREAM: (pb.StreamRequest, attrgetter("stream"), True),
    Method.METHOD_COMPLETE: (pb.CompleteRequest, attrgetter("complete"), False),
    Method.METHOD_STREAM_COMPLETE: (pb.StreamCompleteRequest, attrgetter("stream_complete"), True),
    Method.METHOD_EMBED: (pb.EmbedRequest, attrgetter("embed"), False),
}

Context: TypeAlias = "aio.ServicerContext[OpenRequest, OpenResponse]"


class LinkServicer(LinkServiceServicer):
    """portico.link.v1.LinkService over any ``Gateway``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._links: set[_Link] = set()

    async def Open(self, _requests: AsyncIterator[OpenRequest], context: Context) -> None:  # type: ignore[override]
        link = _Link(self._gateway, context)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def leave(self) -> None:
        """Ask all callers to begin no more calls here."""
        for link in self._links:
            link.leave()


class _Link:
    """One link: its calls, and what goes out."""

    def __init__(self, gateway: Gateway, context: Context) -> None:
        self._gateway = gateway
        self._stream = context
        self._outbox: Outbox[CoreFrame] = Outbox()
        self._lane: Lane[CoreFrame] = Lane()
        self._calls: dict[int, _Call] = {}

    async def run(self) -> None:
        """Serve calls until the caller ends the link; those that are under way then are cancelled."""
        self._outbox.put(
            self._lane, (CoreFrame(hello=Hello(credit=_CREDIT, max_age_seconds=_MAX_AGE_SECONDS)),)
        )
        writer = asyncio.create_task(self._outbox.send(self._write))
        try:
            while isinstance(request := await self._stream.read(), OpenRequest):
                for frame in request.frames:
                    self._take(frame)
        finally:
            tasks = [writer, *(call.task for call in self._calls.values() if call.task is not None)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def leave(self) -> None:
        """Ask the caller to begin no more calls here."""
        self._outbox.put(self._lane, (CoreFrame(leaving=True),))

    async def _write(self, frames: list[CoreFrame]) -> None:
        await self._stream.write(OpenResponse(frames=frames))

    def _take(self, frame: CallerFrame) -> None:
        call = self._calls.get(frame.call_id)
        if call is None:
            if not frame.HasField("begin"):
                return  # of a call that has ended meanwhile
            call = self._calls[frame.call_id] = _Call(frame.call_id, frame.begin, self._outbox)
        if frame.HasField("data"):
            self._read(call, frame)
        if frame.credit:
            call.credit(frame.credit)
        if frame.cancel:
            self._calls.pop(frame.call_id)
            if call.task is not None:
                call.task.cancel()

    def _read(self, call: "_Call", frame: CallerFrame) -> None:
        """Take a piece of a request; with the last one the call starts."""
        try:
            request = call.request.add(frame.data, frame.more)
        except ValueError as reason:
            self._calls.pop(frame.call_id)
            call.end(too_large("request", detail=str(reason)))
            return
        if request is not None and call.task is None:
            call.task = asyncio.create_task(self._serve(call, request))

    async def _serve(self, call: "_Call", request: bytes) -> None:
        error: GatewayError | None = None
        try:
            if len(self._calls) > _MOST_CALLS:
                raise unavailable("The gateway is overloaded. Try again shortly.", "overloaded")
            await _answer(self._gateway, call, request)
        except GatewayError as raised:
            error = raised
        except Exception as raised:
            _log.exception("call failed request_id=%s", call.context.request_id)
            error = internal(repr(raised))
        self._calls.pop(call.call_id, None)
        call.end(error)


class _Call:
    """One call of a link: what travels beside it, and how much of its answer may be sent."""

    __slots__ = ("_credit", "_outbox", "_waiter", "call_id", "context", "lane", "method", "request", "task")

    def __init__(self, call_id: int, begin: Begin, outbox: Outbox[CoreFrame]) -> None:
        self.call_id = call_id
        self.method = begin.method
        self.context = CallContext(
            begin.request_id,
            begin.authorization if begin.HasField("authorization") else None,
            begin.traceparent if begin.HasField("traceparent") else None,
            time.monotonic() + begin.timeout_seconds if begin.HasField("timeout_seconds") else None,
            begin.key if begin.HasField("key") else None,
        )
        self.request = Joiner(MAX_MESSAGE_BYTES)
        self.lane: Lane[CoreFrame] = Lane()
        self.task: asyncio.Task[None] | None = None
        self._outbox = outbox
        self._credit = _CREDIT
        self._waiter: asyncio.Future[None] | None = None

    async def send(self, answer: bytes) -> None:
        """Send an answer, as soon as the caller may take it."""
        for piece, more in pieces(answer):
            while self._credit <= 0:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            self._credit -= len(piece)
            self._outbox.put(self.lane, (CoreFrame(call_id=self.call_id, data=piece, more=more),))

    def credit(self, taken: int) -> None:
        """Note that the caller has taken so many bytes."""
        self._credit += taken
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, error: GatewayError | None) -> None:
        """Tell the caller how the call ended."""
        status = b"" if error is None else to_status(error).SerializeToString()
        end = End(status=status, receipt=self.context.receipt)
        self._outbox.put(self.lane, (CoreFrame(call_id=self.call_id, end=end),))


async def _answer(gateway: Gateway, call: _Call, data: bytes) -> None:
    """Have the gateway answer a call."""
    try:
        kind, find, streamed = _METHODS[call.method]
        request = kind.FromString(data)
    except (KeyError, DecodeError) as error:
        raise invalid_request("The request cannot be read.") from error
    answers = find(gateway)(request, call.context)
    if not streamed:
        await call.send((await answers).SerializeToString())
        return
    async with aclosing(answers):
        async for answer in answers:
            await call.send(answer.SerializeToString())
