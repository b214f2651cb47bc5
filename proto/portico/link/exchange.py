"""One call over a link, at the caller's end: what came for it, and how it ended."""

import asyncio
import time
from collections.abc import Callable

from portico.errors import GatewayError, deadline_exceeded, internal, too_large
from portico.link.outbox import Lane, Outbox
from portico.link.pieces import PIECE, Joiner
from portico.link.v1.link_pb2 import CallerFrame, CoreFrame, End
from portico.remote import MAX_MESSAGE_BYTES
from portico.status import unpack
from portico.v1.receipt_pb2 import Receipt


class Exchange:
    """One call: its reader takes with ``next``, its link hands in with ``take``."""

    __slots__ = (
        "_ahead",
        "_arrived",
        "_call_id",
        "_credit",
        "_due",
        "_end",
        "_failure",
        "_forget",
        "_joiner",
        "_joining",
        "_outbox",
        "_taken",
        "_waiter",
        "lane",
    )

    def __init__(
        self,
        call_id: int,
        outbox: Outbox[CallerFrame],
        forget: Callable[[int], None],
        credit: int,
        deadline: float | None,
    ) -> None:
        """``credit``: bytes that the core may send ahead. ``forget`` is called when the call is closed.

        ``deadline``: of the monotonic clock, when the call fails unless it has ended.
        """
        self.lane: Lane[CallerFrame] = Lane()
        self._call_id = call_id
        self._outbox = outbox
        self._forget = forget
        self._credit = credit
        #: Whole messages, each with those of its bytes that the reader takes; few, as credits bound them.
        self._arrived: list[tuple[bytes, int]] = []
        self._joiner = Joiner(MAX_MESSAGE_BYTES)
        # Bytes: of the message that is not whole yet and were not taken, that were taken but not credited,
        # and that came and were not credited.
        self._joining = self._taken = self._ahead = 0
        self._end: End | None = None
        self._failure: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None
        # One timer for the call, not one for each wait.
        self._due: asyncio.TimerHandle | None = None
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(deadline - time.monotonic(), self._expire)

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
                if self._end.status:
                    raise unpack(self._end.status)
                return None
            if self._joining:
                self._take_pieces()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, size = self._arrived.pop(0)
        self._take_bytes(size)
        return message

    def take(self, frame: CoreFrame) -> None:
        """Take what the core sent."""
        if self._end is not None or self._failure is not None:
            return
        if frame.HasField("data"):
            self._add(frame.data, frame.more)
        if frame.HasField("end"):
            self._end = frame.end
            self._wake()

    def fail(self, error: GatewayError) -> None:
        """End the call with an error of this side."""
        if self._end is None and self._failure is None:
            self._failure = error
            self._wake()

    def close(self) -> None:
        """Take no more; what the core still does for the call it stops."""
        if self._due is not None:
            self._due.cancel()
        unsent = self._outbox.drop(self.lane)
        begun = not (unsent and unsent[0].HasField("begin"))
        if self._end is None and begun:
            self._outbox.put(self.lane, CallerFrame(call_id=self._call_id, cancel=True))
        self._forget(self._call_id)

    def _add(self, piece: bytes, more: bool) -> None:
        self._ahead += len(piece)
        self._joining += len(piece)
        # Its last piece may go beyond the credit; what goes on is not to fill this side's memory.
        if self._ahead >= self._credit + PIECE:
            self.fail(internal(f"the core sent {self._ahead} bytes with a credit of {self._credit}"))
            return
        try:
            message = self._joiner.add(piece, more)
        except ValueError as reason:
            self.fail(too_large("answer", detail=str(reason)))
            return
        if message is not None:
            self._arrived.append((message, self._joining))
            self._joining = 0
            self._wake()
        elif self._waiter is not None and not self._arrived:
            self._take_pieces()

    def _take_pieces(self) -> None:
        """Take the pieces of the message that the reader waits for: it may be larger than the credit."""
        self._take_bytes(self._joining)
        self._joining = 0

    def _take_bytes(self, size: int) -> None:
        """Tell the core, now and then, how much of its answer has been taken."""
        self._taken += size
        # At the half: it need not stop while a credit is on its way.
        if self._taken and self._taken >= self._credit // 2 and self._end is None:
            self._outbox.put(self.lane, CallerFrame(call_id=self._call_id, credit=self._taken))
            self._ahead -= self._taken
            self._taken = 0

    def _expire(self) -> None:
        self.fail(deadline_exceeded())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
