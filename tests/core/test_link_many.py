"""Many calls at once: spread over both links, whole, in order, and no more than a link takes."""

import asyncio
from collections.abc import AsyncGenerator

from portico.gateway import CallContext
from portico.link.v1.link_pb2 import CallerFrame, Method
from portico.status import unpack
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from tests.support.core import answer, ask, ask_stream, contents, finish, text
from tests.support.link import begin, caller, linked, until


async def whole(stream: AsyncGenerator[StreamResponse, None]) -> list[StreamResponse]:
    return [response async for response in stream]


async def test_calls_spread_over_both_links() -> None:
    """A link that has 128 calls more than the other waits for it; below that they share messages."""
    gateway = FakeGateway()
    gateway.on_stream = [text("Hel"), asyncio.Event()]
    async with linked(gateway) as there:

        async def begun(count: int) -> list[AsyncGenerator[StreamResponse, None]]:
            streams = [there.gateway.stream(ask_stream(), CallContext("")) for _ in range(count)]
            await asyncio.gather(*map(anext, streams))
            return streams

        few = await begun(100)
        assert {link.in_flight for link in there.links.open} == {0, 100}
        many = await begun(412)
        assert [link.in_flight for link in there.links.open] == [256, 256]
        await asyncio.gather(*(stream.aclose() for stream in few))
        assert {link.in_flight for link in there.links.open} == {156, 256}
        more = await begun(100)
        assert [link.in_flight for link in there.links.open] == [256, 256]
        await asyncio.gather(*(stream.aclose() for stream in (*many, *more)))
        await there.empty()


async def test_a_whole_answer_and_its_end_are_one_frame() -> None:
    """A frame costs both ends; only the last piece of a longer answer brings the end."""
    gateway = FakeGateway()
    async with linked(gateway) as there, caller(there.address) as link:
        for call_id, size, pieces in ((1, 10, 1), (2, 40_000, 3)):
            gateway.on_chat = [answer("x" * size)]
            asked = ask().SerializeToString()
            await link.send(begin(call_id, asked, method=Method.METHOD_CHAT))
            frames = await link.frames(lambda frame: frame.HasField("end"))
            frames = [frame for frame in frames if frame.call_id == call_id]
            assert [frame.more for frame in frames] == [True] * (pieces - 1) + [False]
            got = ChatResponse.FromString(b"".join(frame.data for frame in frames))
            assert got == answer("x" * size)


async def test_two_thousand_streams_come_whole_and_in_order() -> None:
    """Fifty tokens each, all at the same time."""
    tokens = [f"{number} " for number in range(50)]
    gateway = FakeGateway()
    gateway.on_stream = [*map(text, tokens), finish()]
    async with linked(gateway) as there:
        streams = [there.gateway.stream(ask_stream(), CallContext("")) for _ in range(2000)]
        for responses in await asyncio.gather(*map(whole, streams)):
            assert contents(responses) == "".join(tokens)
            assert len(responses) == 51
        await there.empty()
    assert len(gateway.calls) == 2000


async def test_twenty_thousand_calls_at_once() -> None:
    """Those over the limit are refused, and the link serves on."""
    gateway = FakeGateway()
    gateway.on_stream = [asyncio.Event()]
    async with linked(gateway) as there, caller(there.address) as link:
        for start in range(1, 20_001, 1000):
            await link.send(*[begin(number) for number in range(start, start + 1000)])
        assert unpack((await link.end_of(20_000)).end.status).code == "overloaded"
        await until(lambda: len(gateway.calls) == 16_384, "as many calls as may be")
        gateway.on_stream = [text("token")]
        await link.send(*[CallerFrame(call_id=number, cancel=True) for number in range(1, 101)])
        await until(lambda: there.under_way == (0, 16_284), "the end of what was left")
        await link.send(begin(20_001))
        assert (await link.end_of(20_001)).end.status == b""
