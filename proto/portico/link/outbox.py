"""What waits to be sent over one link: calls take turns, and what is ready together is one message."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from portico.link.v1.link_pb2 import CallerFrame, CoreFrame

F = TypeVar("F", CallerFrame, CoreFrame)

# One message of the stream, in bytes of pieces: what is longer lets others in between. With a quarter of this
# an answer of a megabyte costs a quarter more CPU. In frames: a frame without a piece is small, but the
# beginning of a call may have long keys, and gRPC bounds the message.
_MESSAGE: Final = 256 * 1024
_FRAMES: Final = 512

# Turns of the event loop that a message waits for, as long as they add to it. It costs both ends some 150 us
# whatever it holds: with 32 requests at a time it now holds 10 frames instead of 3, and a request costs a
# quarter less CPU. A loop that has nothing else to do turns within microseconds.
_TURNS: Final = 2

# Bytes that may wait before those who can wait do so: the other end has stopped reading.
_FULL: Final = 8 * 1024 * 1024
# What a frame takes beside its piece, roughly.
_FRAME: Final = 256


class Lane(Generic[F]):
    """The frames of one call, in their order."""

    __slots__ = ("frames", "queued")

    def __init__(self) -> None:
        #: Each with the bytes of its piece. Credits keep them few; a deque takes 700 bytes for none.
        self.frames: list[tuple[F, int]] = []
        #: Whether the outbox knows that there are some.
        self.queued = False


class Outbox(Generic[F]):
    """Lanes of frames, and the one task that takes from them in turn."""

    def __init__(self) -> None:
        self._lanes: deque[Lane[F]] = deque()
        self._size = 0
        self._waiting: asyncio.Future[None] | None = None
        self._drained = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether so much waits that whoever can should wait for ``room``."""
        return self._size > _FULL

    def put(self, lane: Lane[F], frame: F, size: int = 0) -> None:
        """Queue a frame of a call; ``size``: bytes of its piece."""
        lane.frames.append((frame, size))
        self._size += size + _FRAME
        if not lane.queued:
            lane.queued = True
            self._lanes.append(lane)
        if (waiting := self._waiting) is not None:
            self._waiting = None
            if not waiting.done():
                waiting.set_result(None)

    def drop(self, lane: Lane[F]) -> list[F]:
        """Take back what a call has queued, and return it."""
        if not lane.frames:
            return []
        dropped = [frame for frame, _ in lane.frames]
        self._size -= sum(size + _FRAME for _, size in lane.frames)
        lane.frames.clear()
        return dropped

    async def room(self) -> None:
        """Wait until the outbox is no longer full."""
        while self.full:
            self._drained.clear()
            await self._drained.wait()

    async def send(self, write: Callable[[list[F]], Awaitable[None]]) -> None:
        """Write what waits, and what has come meanwhile, for ever."""
        while True:
            await self._gathered()
            if frames := self._taken():
                await write(frames)

    async def _gathered(self) -> None:
        """Wait for a frame, and for those that the event loop's next turns bring."""
        if not self._lanes:
            await self._more()
        for _ in range(_TURNS):
            before = self._size
            await asyncio.sleep(0)
            if self._size <= before:
                return

    async def _more(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _taken(self) -> list[F]:
        """Take frames from the lanes in turn, as many as one message holds."""
        frames: list[F] = []
        pieces = 0
        while self._lanes and pieces < _MESSAGE and len(frames) < _FRAMES:
            lane = self._lanes.popleft()
            if lane.frames:
                frame, size = lane.frames.pop(0)
                frames.append(frame)
                pieces += size
                self._size -= size + _FRAME
            if lane.frames:
                self._lanes.append(lane)
            else:
                lane.queued = False
        if not self.full:
            self._drained.set()
        return frames
