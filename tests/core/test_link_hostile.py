"""What neither end of a link may do to the other."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from grpc import StatusCode, aio

from portico.errors import GatewayError, too_many_calls
from portico.gateway import CallContext
from portico.link import LinkedGateway, Links
from portico.link.pieces import PIECE
from portico.link.v1.link_pb2 import CallerFrame, CoreFrame, End, Hello, OpenResponse
from portico.remote import RemoteGateway, channel_options
from portico.status import to_status, unpack
from portico.testing.gateway import FakeGateway
from portico_core.link_call import CREDIT
from tests.support.core import answer, ask, ask_stream, text
from tests.support.link import PATIENCE, Core, begin, caller, clean, linked, server, socket_path, until

# --- callers


@pytest.fixture
def gateway() -> FakeGateway:
    """Streams one token, and answers chats."""
    fake = FakeGateway()
    fake.on_stream = [text("token")]
    fake.on_chat = [answer()]
    return fake


HOSTILE: dict[str, list[CallerFrame]] = {
    "unknown calls": [
        CallerFrame(call_id=7, data=b"x"),
        CallerFrame(call_id=7, credit=1),
        CallerFrame(call_id=7, cancel=True),
        CallerFrame(),
    ],
    "begun twice": [begin(1), begin(1), begin(1)],
    "data after the request": [
        begin(1),
        *[CallerFrame(call_id=1, data=b"x" * PIECE, more=True)] * 200,
        CallerFrame(call_id=1, data=b"x"),
    ],
    "credit for what was not sent": [begin(1), *[CallerFrame(call_id=1, credit=2**32 - 1)] * 100],
    "begun and left": [CallerFrame(call_id=1, begin=begin(1).begin, data=b"x", cancel=True)],
    "too much, and left": [
        *[CallerFrame(call_id=1, begin=begin(1).begin, data=b"x" * PIECE, more=True)] * 100,
        CallerFrame(call_id=1, cancel=True),
    ],
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_odd_frames_harm_nobody(what: str, gateway: FakeGateway) -> None:
    """The link goes on."""
    async with linked(gateway) as there, caller(there.address) as link:
        await link.send(*HOSTILE[what])
        await link.send(begin(1000))
        assert (await link.end_of(1000)).end.status == b""
        await there.empty()


async def test_timeouts_that_are_none_are_not_believed(gateway: FakeGateway) -> None:
    """Timers of a loop are kept in order, which what is not a number would spoil for all."""
    timeouts = (math.nan, -math.inf, -1, math.inf, 1e300)
    async with linked(gateway) as there, caller(there.address) as link:
        for number, seconds in enumerate(timeouts, 1):
            await link.send(begin(number, timeout_seconds=seconds))
            assert (await link.end_of(number)).end.status == b""
    deadlines = [call.context.deadline or 0 for call in gateway.calls]
    now = time.monotonic()
    assert all(now - 60 < deadline <= now for deadline in deadlines[:3])
    assert all(now + 3600 < deadline < math.inf for deadline in deadlines[3:])


async def test_credit_for_what_was_not_sent_counts_for_nothing(gateway: FakeGateway) -> None:
    """No caller makes the core keep more for it than any other."""
    gateway.on_stream = [text("x" * 1000)] * 10_000
    async with linked(gateway) as there, caller(there.address) as link:
        await link.send(begin(1), *[CallerFrame(call_id=1, credit=2**32 - 1)] * 100)
        await until(lambda: any(each._calls for each in there.servicer._links), "the call")
        (call,) = [call for each in there.servicer._links for call in each._calls.values()]
        await until(lambda: call._waiter is not None, "a wait for credit")
        await link.send(*[CallerFrame(call_id=1, credit=2**32 - 1)] * 100, begin(2))
        await until(lambda: len(gateway.calls) == 2, "the next call, which was read after them")
        assert call._credit <= CREDIT


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        ([begin(1, method=0)], 400),
        ([begin(1, method=99)], 400),
        ([begin(1, b"\xff\xff\xff")], 400),
        ([CallerFrame(call_id=1, begin=begin(1).begin, data=b"x" * 2_000_000)], 413),
        ([CallerFrame(call_id=1, begin=begin(1).begin, data=b"x" * PIECE, more=True)] * 65, 413),
        ([begin(1, authorization="x" * 70_000)], 413),
    ],
    ids=["no method", "unknown method", "no message", "too large", "too large in pieces", "a huge key"],
)
async def test_what_cannot_be_served_is_refused(
    frames: list[CallerFrame], status: int, gateway: FakeGateway
) -> None:
    """With an error for that call alone."""
    async with linked(gateway) as there, caller(there.address) as link:
        await link.send(*frames)
        assert unpack((await link.end_of(1)).end.status).http_status == status
        await link.send(begin(2))
        assert (await link.end_of(2)).end.status == b""
        await there.empty()


async def test_calls_have_a_number(gateway: FakeGateway) -> None:
    """Those that have only begun count, and those that were left until they are over."""
    gateway.on_stream = [asyncio.Event()]
    async with linked(gateway, most_calls=10) as there, caller(there.address) as link:
        await link.send(*[CallerFrame(call_id=n, begin=begin(n).begin) for n in range(1, 11)])
        await link.send(begin(11))
        # As the gateway itself says it over RPCs, with the wait.
        assert (await link.end_of(11)).end.status == to_status(too_many_calls()).SerializeToString()
        await link.send(*[CallerFrame(call_id=n, cancel=True) for n in range(1, 11)])
        gateway.on_stream = [text("token")]
        await link.send(begin(12))
        assert (await link.end_of(12)).end.status == b""
        await there.empty()


async def test_a_caller_that_does_not_read_is_not_read(gateway: FakeGateway) -> None:
    """Its calls go on until so much waits for it; others are served meanwhile."""
    gateway.on_chat = [answer("x" * 50_000)]
    async with linked(gateway) as there, caller(there.address) as link:
        frame = begin(1, ask().SerializeToString(), method=1)
        asked = 0

        async def ask_on() -> None:
            nonlocal asked
            while True:
                asked += 100
                await link.send(
                    *[CallerFrame(call_id=asked + n, begin=frame.begin, data=frame.data) for n in range(100)]
                )

        asking = asyncio.create_task(ask_on())
        await until(lambda: any(each._outbox.full for each in there.servicer._links), "a full outbox")
        (at_core,) = [each for each in there.servicer._links if each._outbox.full]
        before = -1
        async with asyncio.timeout(PATIENCE):
            while before != asked:
                before = asked
                for _ in range(50):
                    assert await there.gateway.chat(ask(), CallContext("")) == answer("x" * 50_000)
        # What came with one message of requests may go beyond it.
        assert at_core._outbox._size < 8 * 2**20 + 100 * (PIECE + CREDIT)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert asked < 20_000


@pytest.mark.parametrize("how", ["closes its half", "cancels", "sends what is no message"])
async def test_a_caller_that_goes_ends_its_calls(how: str, gateway: FakeGateway) -> None:
    """Whichever way it goes."""
    gateway.on_stream = [text("token"), asyncio.Event()]
    async with linked(gateway) as there:
        async with caller(there.address) as link:
            await link.send(begin(1), begin(2))
            await link.frames(lambda frame: frame.call_id == 2 and frame.HasField("data"))
            if how == "closes its half":
                await link.stream.done_writing()
                assert await link.stream.code() == StatusCode.OK
            elif how == "cancels":
                link.stream.cancel()
            elif how == "sends what is no message":
                await link.stream._cython_call.send_serialized_message(b"\xff\xff\xff\xff")
                await there.empty()
        await there.empty()
        assert len(there.servicer._links) == 2


# --- cores

HELLO = CoreFrame(hello=Hello(credit=CREDIT, max_age_seconds=240))


def says(*frames: CoreFrame) -> Callable[[Any], Awaitable[None]]:
    """A core that says hello, waits for a call, and then says so much."""

    async def script(context: Any) -> None:
        await context.write(OpenResponse(frames=[HELLO]))
        await context.read()
        await context.write(OpenResponse(frames=frames))
        await asyncio.Event().wait()

    return script


def piece(size: int, *, more: bool = False, call_id: int = 1) -> CoreFrame:
    return CoreFrame(call_id=call_id, data=b"\0" * size, more=more)


TOKEN = CoreFrame(call_id=1, data=text("token").SerializeToString())
OVER = CoreFrame(call_id=1, end=End())
MESSAGE = CoreFrame(call_id=1, data=answer().SerializeToString())
STRANGE: dict[str, tuple[list[CoreFrame], int]] = {
    "well": ([TOKEN, OVER], 0),
    "unknown calls": ([piece(9, call_id=5), CoreFrame(call_id=6, end=End()), CoreFrame(), TOKEN, OVER], 0),
    "more after the end": ([TOKEN, OVER, piece(9), OVER, CoreFrame(call_id=1, end=End(status=b"\xff"))], 0),
    "more than was credited": ([TOKEN, *[piece(PIECE)] * 100], 500),
    "a status that cannot be read": ([CoreFrame(call_id=1, end=End(status=b"\xff"))], 500),
    "an answer that cannot be read": ([CoreFrame(call_id=1, data=b"\xff\xff"), OVER], 500),
}


@pytest.mark.parametrize("what", STRANGE)
async def test_strange_cores(what: str) -> None:
    """The call ends with what was right of it, or with an error; the facade goes on."""
    frames, status = STRANGE[what]
    with socket_path() as address:
        async with (
            clean(),
            server(address, link=Core(says(*frames))),
            aio.insecure_channel(address, channel_options()) as channel,
            Links(address) as links,
        ):
            await until(lambda: len(links.open) == 2, "two links")
            gateway = LinkedGateway(RemoteGateway(channel), links.pick)
            stream = gateway.stream(ask_stream(), CallContext(""))
            first = TOKEN in frames
            if first:
                assert await anext(stream) == text("token")
            if status:
                with pytest.raises(GatewayError) as caught:
                    await anext(stream)
                assert caught.value.http_status == status
            else:
                assert [each async for each in stream] == []
            assert all(link.in_flight == 0 for link in links.open)


async def test_an_end_without_an_answer_is_no_answer() -> None:
    """An unstreamed call has one, or an error."""
    with socket_path() as address:
        async with clean(), server(address, link=Core(says(OVER))), Links(address) as links:
            await until(lambda: links.pick() is not None, "a link")
            with pytest.raises(GatewayError) as caught:
                await LinkedGateway(FakeGateway(), links.pick).chat(ask(), CallContext(""))
            assert caught.value.http_status == 500


async def silent(_context: Any) -> None:
    await asyncio.Event().wait()


async def closes(_context: Any) -> None:
    """End well, without a word."""


async def cancels(context: Any) -> None:
    await context.abort(StatusCode.CANCELLED, "")


async def fails(_context: Any) -> None:
    raise KeyError


async def chats(context: Any) -> None:
    await context.write(OpenResponse(frames=[TOKEN]))
    await asyncio.Event().wait()


async def greets(context: Any) -> None:
    """Open a link and end it."""
    await context.write(OpenResponse(frames=[HELLO]))


@pytest.mark.parametrize("script", [silent, closes, cancels, fails, chats, greets])
async def test_a_core_that_opens_no_links(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries go on at a calm pace, and calls go by RPC meanwhile."""
    monkeypatch.setattr("portico.link.keeper._PATIENCE", 0.3)
    gateway, core = FakeGateway(), Core(script)
    gateway.on_chat = [answer()]
    with socket_path() as address:
        async with (
            clean(),
            server(address, gateway, core),
            aio.insecure_channel(address, channel_options()) as channel,
            Links(address) as links,
        ):
            linked = LinkedGateway(RemoteGateway(channel), links.pick)
            started = asyncio.get_running_loop().time()
            await until(lambda: core.opened >= 6, "further tries")
            took = asyncio.get_running_loop().time() - started
            assert took > 0.3
            # In the moment between a greeting and the end of the link a call would begin there, and fail.
            if script is not greets:
                assert await linked.chat(ask(), CallContext("")) == answer()
