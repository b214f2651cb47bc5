"""Keeps links open to a core, and says which of them the next call takes."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import grpc
from grpc import aio

from portico.errors import GatewayError
from portico.link.link import Link, Stream, told
from portico.link.v1.link_pb2 import Hello, OpenResponse
from portico.link.v1.link_pb2_grpc import LinkServiceStub
from portico.remote import SEVERAL, options_for
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


class Links:
    """``async with`` keeps links open to the core at ``target``, if it knows them.

    None are kept to a target that may stand for several cores: single calls spread better.
    """

    def __init__(self, target: str, *, much_later: float = MUCH_LATER) -> None:
        self._target = target
        self._much_later = much_later
        self._count = 0 if target.startswith(SEVERAL) else _COUNT
        self._open: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def pick(self) -> Link | None:
        """Return a link with few calls under way. None: there is none now."""
        usable = [link for link in self._open if not link.leaving]
        return min(usable, key=lambda link: link.in_flight // _TOGETHER, default=None)

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._start(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while tasks := list(self._tasks):
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
                known = not isinstance(error, aio.AioRpcError) or error.code() is not _UNKNOWN
                delay = min(2 * delay, _LATER) if known else self._much_later
                _log.info("no link to the core: %s", told(error))
            else:
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
            # Not all facades at once when a core comes back.
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def _opened(self) -> Link:
        """Return an open link, whose calls a task of its own carries.

        Raise AioRpcError or GatewayError where it does not open.
        """
        async with contextlib.AsyncExitStack() as stack:
            options = [*options_for(self._target), _APART, _WIDE]
            channel = await stack.enter_async_context(aio.insecure_channel(self._target, options))
            stub: LinkServiceAsyncStub = LinkServiceStub(channel)
            stream = stub.Open(wait_for_ready=True)
            stack.callback(stream.cancel)
            link = Link(stream, await _hello(stream))
            self._start(self._carry(link, stack.pop_all()))
            return link

    async def _carry(self, link: Link, connection: contextlib.AsyncExitStack) -> None:
        async with connection:
            self._open.add(link)
            _log.debug("a link to the core is open")
            try:
                await link.run()
            finally:
                self._open.discard(link)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


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
