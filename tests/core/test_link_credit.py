"""Credits: a reader that stops holds back its own backend, and nobody else."""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from portico.gateway import CallContext
from portico.link.pieces import PIECE
from portico.testing.gateway import Ended, FakeGateway
from portico.v1.gateway_pb2 import StreamRequest, StreamResponse
from portico_core.link_call import CREDIT
from tests.support.core import answer, ask, ask_stream, contents, finish, text
from tests.support.link import linked, until


class Counting(FakeGateway):
    """Counts what each stream has handed over, by the model asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, int] = {}

    async def stream(
        self, request: StreamRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamResponse, None]:
        model = request.params.model
        async with contextlib.aclosing(super().stream(request, context)) as responses:
            async for response in responses:
                self.sent[model] = self.sent.get(model, 0) + response.ByteSize()
                yield response


def resident() -> int:
    """Bytes of this process in memory, less what it has freed."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def read(stream: AsyncGenerator[StreamResponse, None]) -> list[StreamResponse]:
    async with contextlib.aclosing(stream):
        return [response async for response in stream]


@pytest.mark.parametrize("size", [40, 10_000, PIECE, PIECE + 1, 100_000])
async def test_a_reader_that_stops_holds_its_own_backend_back(size: int) -> None:
    """No more than the credit and one answer are on their way; fifty other streams go on meanwhile."""
    gateway = Counting()
    count = max(12, 500_000 // size)
    gateway.on_stream = [*[text("x" * size)] * count, finish()]
    async with linked(gateway) as there:
        # All over one of the two.
        link = there.links.pick()
        there.gateway._pick = lambda: link
        stopped = there.gateway.stream(ask_stream("stopped"), CallContext(""))
        first = await anext(stopped)
        await until(lambda: gateway.sent["stopped"] >= CREDIT, "its credit is spent")
        for number in range(50 if size > 100 else 5):
            other = await read(there.gateway.stream(ask_stream(str(number)), CallContext("")))
            assert len(contents(other)) == size * count
        assert gateway.sent["stopped"] <= CREDIT + PIECE + 2 * first.ByteSize()
        rest = await read(stopped)
        assert len(contents([first, *rest])) == size * count
        assert rest[-1] == finish()
        await there.empty()


async def test_answers_larger_than_the_credit_come_whole() -> None:
    """Unstreamed ones of 30 MB, and single messages of a stream; small answers pass them."""
    gateway = FakeGateway()
    gateway.on_chat = [answer("x" * 30_000_000)]
    gateway.on_stream = [text("y" * 5_000_000), text("z"), finish()]
    async with linked(gateway) as there:
        large = [asyncio.create_task(there.gateway.chat(ask(), CallContext(""))) for _ in range(2)]
        responses = await read(there.gateway.stream(ask_stream(), CallContext("")))
        assert contents(responses) == "y" * 5_000_000 + "z"
        for each in large:
            assert len((await each).completion.choices[0].message.content) == 30_000_000
        await there.empty()


async def test_readers_that_stop_take_bounded_memory() -> None:
    """Each holds about its credit, at both ends together."""
    gateway = Counting()
    gateway.on_stream = [text("x" * 1000)] * 1000
    async with linked(gateway) as there:
        before = resident()
        streams = [there.gateway.stream(ask_stream(str(n)), CallContext("")) for n in range(200)]
        await asyncio.gather(*map(anext, streams))
        await until(lambda: min(gateway.sent.values()) >= CREDIT, "all credits spent")
        grown = resident() - before
        print("bytes for each stopped reader:", grown / 200)
        assert max(gateway.sent.values()) <= CREDIT + PIECE + 3000
        assert grown < 200 * 2 * CREDIT
        await asyncio.gather(*(stream.aclose() for stream in streams))
        await there.empty()
        assert {call.ended for call in gateway.calls} == {Ended.CANCELLED}
