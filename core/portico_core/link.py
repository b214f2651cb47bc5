"""The core's end of links (portico/link/v1/link.proto): a skin over a gateway, as ``service`` is one."""

# ruff: noqa: N802 - names and arguments are the contract's

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import grpc
from grpc import aio

from portico.errors import GatewayError, too_large, too_many_calls
from portico.gateway import Gateway
from portico.link.outbox import Lane, Outbox
from portico.link.v1.link_pb2 import CallerFrame, CoreFrame, Hello, OpenRequest, OpenResponse
from portico.link.v1.link_pb2_grpc import LinkServiceServicer
from portico.remote import MAX_METADATA_BYTES
from portico_core.link_call import CREDIT, LinkCall

_log: Final = logging.getLogger("portico.link")

#: Below the age at which the connection is asked to end (server).
MAX_AGE_SECONDS: Final = 240
#: Calls under way on one link.
MOST_CALLS: Final = 16_384

Context: TypeAlias = "aio.ServicerContext[OpenRequest, OpenResponse]"


class LinkServicer(LinkServiceServicer):
    """portico.link.v1.LinkService over any ``Gateway``."""

    def __init__(
        self, gateway: Gateway, *, max_age_seconds: int = MAX_AGE_SECONDS, most_calls: int = MOST_CALLS
    ) -> None:
        self._gateway = gateway
        self._hello = Hello(credit=CREDIT, max_age_seconds=max_age_seconds)
        self._most_calls = most_calls
        self._links: set[_Link] = set()
        self._leaving = False

    async def Open(self, _requests: AsyncIterator[OpenRequest], context: Context) -> None:  # type: ignore[override]
        if self._leaving:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the core is about to stop")
        link = _Link(self._gateway, context, self._most_calls)
        self._links.add(link)
        try:
            await link.run(self._hello)
        finally:
            self._links.discard(link)

    def leave(self) -> None:
        """Ask all callers to begin no more calls here, and open no more links."""
        self._leaving = True
        for link in self._links:
            link.leave()


class _Link:
    """One link: its calls, and what goes out."""

    def __init__(self, gateway: Gateway, stream: Context, most_calls: int) -> None:
        self._gateway = gateway
        self._stream = stream
        self._most_calls = most_calls
        self._outbox: Outbox[CoreFrame] = Outbox()
        self._lane: Lane[CoreFrame] = Lane()
        # Calls that neither side has ended.
        self._calls: dict[int, LinkCall] = {}
        # Those that run, cancelled ones too until they are over.
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, hello: Hello) -> None:
        """Serve calls until the caller ends the link; those that are under way then are cancelled."""
        self._outbox.put(self._lane, CoreFrame(hello=hello))
        carriers = [asyncio.create_task(each) for each in (self._read(), self._outbox.send(self._write))]
        try:
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [*carriers, *self._tasks]
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            _log.debug("a link ended: %s", [each for each in ended[: len(carriers)] if each])

    def leave(self) -> None:
        """Ask the caller to begin no more calls here."""
        self._outbox.put(self._lane, CoreFrame(leaving=True))

    async def _read(self) -> None:
        while isinstance(request := await self._stream.read(), OpenRequest):
            for frame in request.frames:
                self._take(frame)
            if self._outbox.full:
                # A caller that does not read is not read either.
                await self._outbox.room()

    async def _write(self, frames: list[CoreFrame]) -> None:
        await self._stream.write(OpenResponse(frames=frames))

    def _take(self, frame: CallerFrame) -> None:
        call = self._calls.get(frame.call_id)
        if call is None:
            if not frame.HasField("begin"):
                return  # of a call that has ended meanwhile
            call = LinkCall(frame.call_id, frame.begin, self._outbox)
            if (refusal := self._refusal(frame)) is not None:
                call.end(refusal)
                return
            self._calls[frame.call_id] = call
        if frame.cancel:
            del self._calls[frame.call_id]
            call.cancel()
            return
        if frame.credit:
            call.credit(frame.credit)
        if frame.HasField("data") and call.task is None:
            self._add(call, frame)

    def _refusal(self, frame: CallerFrame) -> GatewayError | None:
        """Return why a call cannot begin, if it cannot."""
        if max(len(self._calls), len(self._tasks)) >= self._most_calls:
            return too_many_calls()
        if frame.begin.ByteSize() > MAX_METADATA_BYTES:
            return too_large("request's headers", MAX_METADATA_BYTES)
        return None

    def _add(self, call: LinkCall, frame: CallerFrame) -> None:
        """Take a piece of a request; with the last one the call starts."""
        try:
            request = call.add(frame.data, frame.more)
        except ValueError as reason:
            del self._calls[call.call_id]
            call.end(too_large("request", detail=str(reason)))
            return
        if request is None:
            return
        task = call.task = asyncio.create_task(call.serve(self._gateway, request))
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._calls.get(call.call_id) is call:
                del self._calls[call.call_id]

        task.add_done_callback(over)
