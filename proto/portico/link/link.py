"""The caller's end of one link: the calls that are under way over it."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from typing import Final, TypeAlias

from grpc import aio

from portico.gateway import CallContext
from portico.link.exchange import Exchange
from portico.link.outbox import Outbox
from portico.link.pieces import pieces
from portico.link.v1.link_pb2 import Begin, CallerFrame, Hello, Method, OpenRequest, OpenResponse
from portico.status import core_unavailable

_log: Final = logging.getLogger("portico.link")

Stream: TypeAlias = "aio.StreamStreamCall[OpenRequest, OpenResponse]"


class Link:
    """One open link. Whoever opened it runs ``run``; calls may begin until ``leaving``."""

    def __init__(self, stream: Stream, hello: Hello) -> None:
        self._stream = stream
        self._hello = hello
        self._calls: dict[int, Exchange] = {}
        self._ids = itertools.count(1)
        self._outbox: Outbox[CallerFrame] = Outbox()
        self._left = asyncio.Event()
        #: Whether no more calls are to begin here.
        self.leaving = False
        self._empty = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    @property
    def max_age(self) -> float | None:
        """Seconds after which another link should take over. None: it does not grow old."""
        return self._hello.max_age_seconds or None

    async def left(self) -> None:
        """Wait until no more calls are to begin here."""
        await self._left.wait()

    def begin(self, method: Method.ValueType, request: bytes, context: CallContext) -> Exchange:
        """Begin a call with a serialised request. Close it in any case."""
        begin: Begin | None = Begin(
            method=method,
            request_id=context.request_id,
            authorization=context.authorization,
            key=context.key,
            traceparent=context.traceparent,
            timeout_seconds=context.remaining(),
        )
        call_id = next(self._ids)
        exchange = Exchange(call_id, self._outbox, self._forget, self._hello.credit, context.deadline)
        self._calls[call_id] = exchange
        for data, more in pieces(request):
            frame = CallerFrame(call_id=call_id, begin=begin, data=data, more=more)
            self._outbox.put(exchange.lane, frame, len(data))
            begin = None
        return exchange

    def leave(self) -> None:
        """Begin no more calls; the link ends with the last of those that are under way."""
        self._leave()
        if not self._calls:
            self._empty.set()

    async def run(self) -> None:
        """Carry calls until the link has run empty or breaks; the calls that are under way then fail."""
        tasks = [asyncio.create_task(each) for each in (self._read(), self._write(), self._empty.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave()
            self._stream.cancel()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if self._calls:
                self._fail(ended)

    def _fail(self, ended: Sequence[object]) -> None:
        """Fail all calls; ``ended``: how each part of this link has."""
        reasons = "; ".join(told(each) for each in ended if isinstance(each, Exception))
        detail = f"a link to the core broke with {len(self._calls)} calls under way: {reasons}"
        _log.warning(detail)
        for exchange in self._calls.values():
            exchange.fail(core_unavailable(detail))
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

    def _leave(self) -> None:
        self.leaving = True
        self._left.set()

    def _forget(self, call_id: int) -> None:
        """Take no more of a call."""
        self._calls.pop(call_id, None)
        if self.leaving and not self._calls:
            self._empty.set()


def told(error: Exception) -> str:
    """Return what an exception says, in one line: gRPC's has five."""
    if isinstance(error, aio.AioRpcError):
        return f"{error.code().name}: {' '.join((error.details() or '').split())}"
    return str(error)
