"""What waits to be sent over one link: calls take turns, and all that waits goes in one message."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

from portico.link.v1.link_pb2 import CallerFrame, CoreFrame

F = TypeVar("F", CallerFrame, CoreFrame)

# Bytes of pieces in one message of the stream: what is longer lets others in between.
_MESSAGE: Final = 64 * 1024


class Lane(Generic[F]):
    """The frames of one call, in their order."""

    __slots__ = ("frames", "queued")

    def __init__(self) -> None:
        self.frames: deque[F] = deque()
        #: Whether the outbox knows that there are some.
        self.queued = False


class Outbox(Generic[F]):
    """Lanes of frames, and the one task that takes from them in turn."""

    def __init__(self) -> None:
        self._lanes: deque[Lane[F]] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def put(self, lane: Lane[F], frames: Iterable[F]) -> None:
        """Queue frames of a call."""
        lane.frames.extend(frames)
        if not lane.queued:
            lane.queued = True
            self._lanes.append(lane)
        self.wake()

    def wake(self) -> None:
        """Have ``send`` look whether there is something to be sent."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def send(self, write: Callable[[list[F]], Awaitable[None]]) -> None:
        """Write what waits, and what has come meanwhile, for ever."""
        while True:
            frames = self._taken()
            if frames:
                await write(frames)
            else:
                await self._more()

    async def _more(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _taken(self) -> list[F]:
        """Take frames from the lanes in turn, as many as one message holds."""
        frames: list[F] = []
        size = 0
        while self._lanes and size < _MESSAGE:
            lane = self._lanes.popleft()
            if lane.frames:
                frame = lane.frames.popleft()
                frames.append(frame)
                size += len(frame.data)
            if lane.frames:
                self._lanes.append(lane)
            else:
                lane.queued = False
        return frames
