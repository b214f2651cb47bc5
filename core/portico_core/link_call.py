"""One call of a link, at the core's end: its request, its answer, and how much of that may be sent."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from operator import attrgetter
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from portico.errors import GatewayError, internal, invalid_request
from portico.gateway import CallContext, Gateway
from portico.link.outbox import Lane, Outbox
from portico.link.pieces import Joiner, pieces
from portico.link.v1.link_pb2 import Begin, CoreFrame, End, Method
from portico.status import to_status
from portico.v1 import gateway_pb2 as pb
from portico_core.service import LONGEST_REQUEST_ID

_log: Final = logging.getLogger("portico.link")

#: Bytes of one call's answers on their way or waiting at the caller: a reader slower than its backend
#: holds the backend back, and nobody else.
CREDIT: Final = 128 * 1024
# Bytes of a request. Facades send those over 64 KiB by RPC; later ones may send a little more here.
_LARGEST_REQUEST: Final = 1024 * 1024
# Seconds. Clocks take no infinity, nor what is not a number.
_LONGEST_TIMEOUT: Final = 1e6

# Method -> its request, what of a gateway answers it, and whether that is a stream.
_METHODS: Final[dict[int, tuple[Any, Callable[[Gateway], Callable[[Any, CallContext], Any]], bool]]] = {
    Method.METHOD_CHAT: (pb.ChatRequest, attrgetter("chat"), False),
    Method.METHOD_STREAM: (pb.StreamRequest, attrgetter("stream"), True),
    Method.METHOD_COMPLETE: (pb.CompleteRequest, attrgetter("complete"), False),
    Method.METHOD_STREAM_COMPLETE: (pb.StreamCompleteRequest, attrgetter("stream_complete"), True),
    Method.METHOD_EMBED: (pb.EmbedRequest, attrgetter("embed"), False),
}


class LinkCall:
    """One call: the link hands in what the caller sends, ``serve`` answers."""

    __slots__ = (
        "_context",
        "_credit",
        "_joiner",
        "_lane",
        "_method",
        "_outbox",
        "_waiter",
        "call_id",
        "task",
    )

    def __init__(self, call_id: int, begin: Begin, outbox: Outbox[CoreFrame]) -> None:
        self.call_id = call_id
        #: Runs ``serve``, from the moment when the request is whole.
        self.task: asyncio.Task[None] | None = None
        self._context = _context(begin)
        self._method = begin.method
        self._joiner = Joiner(_LARGEST_REQUEST)
        self._lane: Lane[CoreFrame] = Lane()
        self._outbox = outbox
        self._credit = CREDIT
        self._waiter: asyncio.Future[None] | None = None

    def add(self, piece: bytes, more: bool) -> bytes | None:
        """Return the request that ends with this piece, if it does. Raise ValueError for one too large."""
        return self._joiner.add(piece, more)

    def credit(self, taken: int) -> None:
        """Note that the caller has taken so many bytes."""
        # It cannot have taken what was not sent.
        self._credit = min(CREDIT, self._credit + taken)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def cancel(self) -> None:
        """Stop: the caller wants no answer any more."""
        self._outbox.drop(self._lane)
        if self.task is not None:
            self.task.cancel()

    async def serve(self, gateway: Gateway, request: bytes) -> None:
        """Have the gateway answer, and tell the caller how that ended."""
        error: GatewayError | None = None
        last: bytes | None = None
        try:
            answers, streamed = self._asked(gateway, request)
            # Not kept for as long as its answer takes.
            del request
            if streamed:
                await self._stream(answers)
            else:
                last = await self._whole(answers)
        except GatewayError as raised:
            error = raised
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = internal("a gateway's call cancelled itself")
        except Exception as raised:
            # Left alone, it would be seen by nobody, and the caller would wait for ever.
            _log.exception("call failed request_id=%s", self._context.request_id)
            error = internal(repr(raised))
        self.end(error, last)

    def end(self, error: GatewayError | None, last: bytes | None = None) -> None:
        """Tell the caller how the call ended; ``last``: a last piece that goes with it."""
        status = b"" if error is None else to_status(error).SerializeToString()
        end = End(status=status, receipt=self._context.receipt)
        frame = CoreFrame(call_id=self.call_id, data=last, end=end)
        self._outbox.put(self._lane, frame, len(last or b""))

    def _asked(self, gateway: Gateway, data: bytes) -> tuple[Any, bool]:
        """Return what the gateway answers with, and whether that is a stream. Raise GatewayError."""
        try:
            kind, find, streamed = _METHODS[self._method]
            request = kind.FromString(data)
        except (KeyError, DecodeError) as error:
            raise invalid_request("The request cannot be read.") from error
        return find(gateway)(request, self._context), streamed

    async def _whole(self, answer: Awaitable[Message]) -> bytes:
        """Send an answer but for its last piece, which is returned: the end shares its frame."""
        piece = b""
        for piece, more in pieces((await answer).SerializeToString()):
            if more:
                await self._send(piece, more)
        await self._turn()
        return piece

    async def _stream(self, answers: AsyncGenerator[Message, None]) -> None:
        async with aclosing(answers):
            async for answer in answers:
                serialised = answer.SerializeToString()
                # Nor is this, while the next one is waited for.
                del answer
                for piece, more in pieces(serialised):
                    await self._send(piece, more)
                del serialised, piece

    async def _send(self, piece: bytes, more: bool) -> None:
        """Send a piece, as soon as the caller may take it."""
        if self._credit <= 0 or self._outbox.full:
            await self._turn()
        self._credit -= len(piece)
        self._outbox.put(self._lane, CoreFrame(call_id=self.call_id, data=piece, more=more), len(piece))

    async def _turn(self) -> None:
        """Wait until the caller may take a piece, and the link has room for it."""
        while self._credit <= 0:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._outbox.full:
            await self._outbox.room()


def _context(begin: Begin) -> CallContext:
    deadline = None
    if begin.HasField("timeout_seconds"):
        # 0 for what is not a number.
        deadline = time.monotonic() + min(max(0.0, begin.timeout_seconds), _LONGEST_TIMEOUT)
    return CallContext(
        begin.request_id if len(begin.request_id) <= LONGEST_REQUEST_ID else "",
        begin.authorization if begin.HasField("authorization") else None,
        begin.traceparent if begin.HasField("traceparent") else None,
        deadline,
        begin.key if begin.HasField("key") else None,
    )
