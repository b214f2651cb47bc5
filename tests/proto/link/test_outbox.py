"""What waits for a link: who is next, how much goes in one message, and how much may wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from portico.link.outbox import Lane, Outbox
from portico.link.pieces import PIECE, pieces
from portico.link.v1.link_pb2 import CoreFrame


class Written:
    """Takes what an outbox writes, and holds it back while ``open`` is not set."""

    def __init__(self) -> None:
        self.messages: list[list[CoreFrame]] = []
        self.open = asyncio.Event()
        self._more = asyncio.Event()

    async def write(self, frames: list[CoreFrame]) -> None:
        await self.open.wait()
        self.messages.append(frames)
        self._more.set()
        await asyncio.sleep(0)

    @property
    def frames(self) -> list[CoreFrame]:
        return [frame for message in self.messages for frame in message]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def writing(outbox: Outbox[CoreFrame]) -> AsyncIterator[Written]:
    written = Written()
    task = asyncio.create_task(outbox.send(written.write))
    yield written
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def put(outbox: Outbox[CoreFrame], lane: Lane[CoreFrame], call_id: int, message: bytes) -> None:
    for piece, more in pieces(message):
        outbox.put(lane, CoreFrame(call_id=call_id, data=piece, more=more), len(piece))


async def test_a_large_answer_lets_small_ones_in_between() -> None:
    """Ten megabytes of one call come before; a token of another is among the first five frames."""
    outbox = Outbox[CoreFrame]()
    put(outbox, Lane(), 1, bytes(10_000_000))
    put(outbox, Lane(), 2, b"token")
    async with writing(outbox) as written:
        written.open.set()
        await written.until(lambda: len(written.frames) == -(-10_000_000 // PIECE) + 1)
    assert [frame.call_id for frame in written.frames[:5]] == [1, 2, 1, 1, 1]
    assert max(len(message) for message in written.messages) <= 17


async def test_all_that_waits_goes_in_one_message() -> None:
    """A message costs more than a frame; but a message has bounds too."""
    outbox = Outbox[CoreFrame]()
    async with writing(outbox) as written:
        written.open.set()
        for call_id in range(1000):
            put(outbox, Lane(), call_id, b"token")
        await written.until(lambda: len(written.frames) == 1000)
    assert [len(message) for message in written.messages] == [512, 488]


async def test_calls_that_are_ready_a_moment_later_share_the_message() -> None:
    """As when the loop finds several backends' sockets readable: each of them is a task of its own."""
    outbox = Outbox[CoreFrame]()

    async def call(call_id: int, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        put(outbox, Lane(), call_id, b"token")

    async with writing(outbox) as written:
        written.open.set()
        await asyncio.gather(*(call(number, number % 3) for number in range(30)))
        await written.until(lambda: len(written.frames) == 30)
        # But none waits for more than a moment: a loop that never rests lets it go as well.
        busy = asyncio.create_task(never_at_rest(outbox))
        await written.until(lambda: len(written.messages) >= 5)
        busy.cancel()
    assert [len(message) for message in written.messages[:1]] == [30]
    assert max(len(message) for message in written.messages[1:]) < 10


async def never_at_rest(outbox: Outbox[CoreFrame]) -> None:
    while True:
        put(outbox, Lane(), 99, b"token")
        await asyncio.sleep(0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40_000)), max_size=30))
def test_each_call_keeps_its_order(puts: list[tuple[int, int]]) -> None:
    """Whoever takes turns with whom."""

    async def play() -> list[CoreFrame]:
        outbox = Outbox[CoreFrame]()
        lanes = [Lane[CoreFrame]() for _ in range(5)]
        async with writing(outbox) as written:
            written.open.set()
            for number, (call_id, size) in enumerate(puts):
                outbox.put(lanes[call_id], CoreFrame(call_id=call_id, data=b"%d" % number), size)
            await written.until(lambda: len(written.frames) == len(puts))
        return written.frames

    frames = asyncio.run(play())
    for call_id in range(5):
        sent = [b"%d" % number for number, (to, _) in enumerate(puts) if to == call_id]
        assert [frame.data for frame in frames if frame.call_id == call_id] == sent


async def test_who_can_wait_does_so_while_too_much_waits() -> None:
    """Until the other end has read some of it, or a call took its own back."""
    outbox, lane = Outbox[CoreFrame](), Lane[CoreFrame]()
    async with writing(outbox) as written:
        put(outbox, lane, 1, bytes(20_000_000))
        assert outbox.full
        waiting = asyncio.create_task(outbox.room())
        written.open.set()
        await waiting
        assert 11_000_000 < sum(len(frame.data) for frame in written.frames) < 13_000_000
        # Now the other end stops.
        written.open.clear()
        assert len(outbox.drop(lane)) > 400
        put(outbox, lane, 1, bytes(7_000_000))
        assert not outbox.full
        put(outbox, lane, 1, bytes(1_500_000))
        assert outbox.full
        outbox.drop(lane)
        async with asyncio.timeout(10):
            await outbox.room()
