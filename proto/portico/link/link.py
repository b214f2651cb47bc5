"""The caller's end of one link: its calls, and what came for each of them."""

import asyncio
import itertools
import time
from collections import deque
from typing import TypeAlias

from grpc import aio

from portico.errors import GatewayError, deadline_exceeded, too_large
from portico.gateway import CallContext
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
from portico.remote import MAX_MESSAGE_BYTES
from portico.status import core_unavailable, unpack
from portico.v1.receipt_pb2 import Receipt

Stream: TypeAlias = "aio.StreamStreamCall[OpenRequest, OpenResponse]"


class Link:
    """One open link. Whoever opened it runs ``run``; calls may begin until ``leaving``."""

    def __init__(self, stream: Stream, hello: Hello) -> None:
        self._stream = stream
        self._hello = hello
        self._calls: dict[int, Exchange] = {}
        self._ids = itertools.count(1)
        self._outbox: Outbox[CallerFrame] = Outbox()
        self._empty = asyncio.Event()
        #: No more calls are to begin here.
        self.leaving = False

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    @property
    def max_age(self) -> float:
        """Seconds after which another link should take over."""
        return self._hello.max_age_seconds

    def begin(self, method: Method.ValueType, request: bytes, context: CallContext) -> "Exchange":
        """Begin a call with a serialised request. Close it in any case."""
        begin = Begin(
            method=method,
            request_id=context.request_id,
            authorization=context.authorization,
            key=context.key,
            traceparent=context.traceparent,
            timeout_seconds=context.remaining(),
        )
        call_id = next(self._ids)
        exchange = self._calls[call_id] = Exchange(self, call_id, self._hello.credit, context.deadline)
        frames = [CallerFrame(call_id=call_id, data=data, more=more) for data, more in pieces(request)]
        frames[0].begin.CopyFrom(begin)
        self._outbox.put(exchange.lane, frames)
        return exchange

    def leave(self) -> None:
        """Begin no more calls; the link ends with the last of those that are under way."""
        self.leaving = True
        if not self._calls:
            self._empty.set()

    async def run(self) -> None:
        """Carry calls until the link has run empty or breaks; the calls that are under way then fail."""
        tasks = [asyncio.create_task(each) for each in (self._read(), self._write(), self._empty.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leaving = True
            self._stream.cancel()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for exchange in self._calls.values():
                exchange.fail(core_unavailable(f"the link to the core broke: {_reason(ended[0])}"))
            self._calls.clear()

    async def _read(self) -> None:
        while isinstance(response := await self._stream.read(), OpenResponse):
            for frame in response.frames:
                exchange = self._calls.get(frame.call_id)
                if exchange is not None:
                    exchange.take(frame)
                elif frame.leaving:
                    self.leave()

    async def _write(self) -> None:
        async def write(frames: list[CallerFrame]) -> None:
            await self._stream.write(OpenRequest(frames=frames))

        await self._outbox.send(write)

    def send(self, lane: Lane[CallerFrame], frame: CallerFrame) -> None:
        """Queue a further frame of a call."""
        self._outbox.put(lane, (frame,))

    def forget(self, call_id: int) -> None:
        """Take no more of a call."""
        self._calls.pop(call_id, None)
        if self.leaving and not self._calls:
            self._empty.set()


class Exchange:
    """One call over a link: what came for it, and how it ended."""

    __slots__ = (
        "_arrived",
        "_call_id",
        "_deadline",
        "_end",
        "_failure",
        "_joiner",
        "_link",
        "_step",
        "_taken",
        "_waiter",
        "lane",
    )

    def __init__(self, link: Link, call_id: int, credit: int, deadline: float | None) -> None:
        self.lane: Lane[CallerFrame] = Lane()
        self._link = link
        self._call_id = call_id
        self._deadline = deadline
        #: Whole messages, each with the bytes of its last piece.
        self._arrived: deque[tuple[bytes, int]] = deque()
        self._joiner = Joiner(MAX_MESSAGE_BYTES)
        self._end: End | None = None
        self._failure: GatewayError | None = None
        # Half of what the core may send ahead: it need not stop while a credit is on its way.
        self._step = credit // 2
        self._taken = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def receipt(self) -> Receipt | None:
        """What became of the call, once it has ended."""
        return self._end.receipt if self._end is not None and self._end.HasField("receipt") else None

    async def next(self) -> bytes | None:
        """Return the next answer, serialised. None: the call has ended well. Raise GatewayError otherwise."""
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            if self._end is not None:
                return None
            await self._wait()
        message, size = self._arrived.popleft()
        self._credit(size)
        return message

    def take(self, frame: CoreFrame) -> None:
        """Take what the core sent."""
        if frame.HasField("data"):
            try:
                message = self._joiner.add(frame.data, frame.more)
            except ValueError as reason:
                self.fail(too_large("answer", detail=str(reason)))
                return
            if message is None:
                self._credit(len(frame.data))
            else:
                self._arrived.append((message, len(frame.data)))
        if frame.HasField("end"):
            self._end = frame.end
            if frame.end.status:
                self._failure = unpack(frame.end.status)
        self._wake()

    def fail(self, error: GatewayError) -> None:
        """End the call with an error of this side."""
        if self._end is None and self._failure is None:
            self._failure = error
            self._wake()

    def close(self) -> None:
        """Take no more; what the core still does for the call it stops."""
        self._link.forget(self._call_id)
        if self._end is not None:
            return
        unsent = bool(self.lane.frames) and self.lane.frames[0].HasField("begin")
        self.lane.frames.clear()
        if not unsent:
            self._link.send(self.lane, CallerFrame(call_id=self._call_id, cancel=True))

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self._deadline is None:
                await self._waiter
            else:
                async with asyncio.timeout(self._deadline - time.monotonic()):
                    await self._waiter
        except TimeoutError:
            raise deadline_exceeded() from None
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _credit(self, size: int) -> None:
        """Tell the core, now and then, how much of its answer has been taken."""
        self._taken += size
        if self._taken >= self._step and self._end is None:
            self._link.send(self.lane, CallerFrame(call_id=self._call_id, credit=self._taken))
            self._taken = 0


def _reason(ended: object) -> str:
    return f"{ended.code().name}: {ended.details()}" if isinstance(ended, aio.AioRpcError) else repr(ended)
