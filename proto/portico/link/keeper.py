"""Keeps links open to one core, and replaces those that grow old."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc import aio

from portico.errors import GatewayError
from portico.link.link import Link, Stream, told
from portico.link.v1.link_pb2 import Hello, OpenResponse
from portico.link.v1.link_pb2_grpc import LinkServiceStub
from portico.remote import channel_options
from portico.status import core_unavailable

if TYPE_CHECKING:
    from portico.link.v1.link_pb2_grpc import LinkServiceAsyncStub

_log: Final = logging.getLogger("portico.link")

# Each has a lane of its own through the core's event loop; one may be replaced while another serves.
_COUNT: Final = 2

# Calls that share a link before another is as good: what is ready together is one message only where it
# takes the same link. At 32 requests at a time this saves 8 % of the CPU.
_TOGETHER: Final = 128

# A connection of its own for each link: what one of them has lost is sent again without the others.
_APART: Final = ("grpc.use_local_subchannel_pool", 1)

# Bytes on their way: all streams of a link share them, and credits hold back what its reader leaves.
_WIDE: Final = ("grpc.http2.lookahead_bytes", 1024 * 1024)

_UNKNOWN: Final = grpc.StatusCode.UNIMPLEMENTED

# Seconds until the next try: the first, and the longest.
_SOON: Final = 0.1
_LATER: Final = 1.0
#: Seconds until the next try after a core that knows no links.
MUCH_LATER: Final = 60.0

# Seconds in which a link must have opened. The core says hello at once, but a proxy may keep that to itself.
_PATIENCE: Final = 10.0


class Keeper:
    """The links to the core at one address, from ``start`` to ``leave`` and ``close``."""

    def __init__(self, place: str, much_later: float, failed: Callable[[], None]) -> None:
        """``place``: a gRPC target of one core. ``failed`` is called when a link ends or does not open."""
        self._place = place
        self._much_later = much_later
        self._failed = failed
        self._keeping: list[asyncio.Task[None]] = []
        self._carrying: set[asyncio.Task[None]] = set()
        self.open: set[Link] = set()
        #: False: the core has said that it knows no links.
        self.linkable = True

    @property
    def in_flight(self) -> int:
        """How many calls are under way over links to this core."""
        return sum(link.in_flight for link in self.open)

    @property
    def over(self) -> bool:
        """Whether nothing runs here any more."""
        return not self._carrying and all(task.done() for task in self._keeping)

    def pick(self) -> Link | None:
        """Return a link with few calls under way. None: there is none now."""
        best: Link | None = None
        for link in self.open:
            if not link.leaving and (
                best is None or link.in_flight // _TOGETHER < best.in_flight // _TOGETHER
            ):
                best = link
        return best

    def start(self) -> None:
        """Open links."""
        self._keeping = [asyncio.create_task(self._keep()) for _ in range(_COUNT)]

    def leave(self) -> None:
        """Begin no more calls here; the links end with the last of those that are under way."""
        for task in self._keeping:
            task.cancel()
        for link in self.open:
            link.leave()

    async def close(self) -> None:
        """End the links at once."""
        while tasks := [task for task in (*self._keeping, *self._carrying) if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self) -> None:
        """Keep one link open, and open the next one before the first grows too old."""
        delay, old = _SOON, None
        while True:
            try:
                link = await self._opened()
            except (aio.AioRpcError, GatewayError) as error:
                self.linkable = not isinstance(error, aio.AioRpcError) or error.code() is not _UNKNOWN
                delay = min(2 * delay, _LATER) if self.linkable else self._much_later
                _log.info("no link to the core at %s: %s", self._place, told(error))
            else:
                self.linkable = True
                if old is not None:
                    old.leave()
                old, opened = None, time.monotonic()
                try:
                    async with asyncio.timeout(link.max_age):
                        await link.left()
                except TimeoutError:
                    old = link
                    continue
                delay = _SOON if time.monotonic() - opened > _LATER else min(2 * delay, _LATER)
            self._failed()
            # Not all facades at once when a core comes back.
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _opened(self) -> Link:
        """Return an open link, whose calls a task of its own carries.

        Raise AioRpcError or GatewayError where it does not open.
        """
        async with contextlib.AsyncExitStack() as stack:
            options = [*channel_options(), _APART, _WIDE]
            channel = await stack.enter_async_context(aio.insecure_channel(self._place, options))
            stub: LinkServiceAsyncStub = LinkServiceStub(channel)
            stream = stub.Open(wait_for_ready=True)
            stack.callback(stream.cancel)
            link = Link(stream, await _hello(stream))
            self.open.add(link)
            self._start(self._carry(link, stack.pop_all()))
            return link

    async def _carry(self, link: Link, connection: contextlib.AsyncExitStack) -> None:
        async with connection:
            _log.debug("a link to the core is open: %s", self._place)
            try:
                await link.run()
            finally:
                self.open.discard(link)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)


async def _hello(stream: Stream) -> Hello:
    """Wait for the core's first word. Raise AioRpcError or GatewayError where it does not come."""
    try:
        async with asyncio.timeout(_PATIENCE):
            first = await stream.read()
    except TimeoutError:
        raise core_unavailable("no link has opened in time") from None
    if isinstance(first, OpenResponse) and first.frames and first.frames[0].HasField("hello"):
        return first.frames[0].hello
    raise core_unavailable("the core did not say what a link of its may carry")
