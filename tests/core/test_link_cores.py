"""Links to several cores: calls spread over them, also while they come, leave, or know no links."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.link import LinkedGateway, Links
from portico.link.links import LookUp
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import StreamResponse
from portico_core.link import LinkServicer
from tests.support.core import answer, ask, ask_stream, contents, finish, text
from tests.support.link import clean, server, until


class Core(FakeGateway):
    """A core that streams until it may end."""

    def __init__(self, *, knows_links: bool = True) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.on_stream = [text("Hel"), self.go_on, text("lo"), finish()]
        self.on_chat = [answer()]
        self.servicer = LinkServicer(self) if knows_links else None
        self.place = ""


@contextlib.asynccontextmanager
async def cores(*each: Core) -> AsyncIterator[str]:
    """Serve cores on ports of the machine's choice; yield the target that lists them."""
    async with contextlib.AsyncExitStack() as stack:
        for core in each:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            core.place = f"ipv4:127.0.0.1:{port}"
            await stack.enter_async_context(server(core.place.removeprefix("ipv4:"), core, core.servicer))
        yield "ipv4:" + ",".join(core.place.removeprefix("ipv4:") for core in each)


class Caller:
    """A facade's end, whose RPCs are answered by nobody but ``rpcs``."""

    def __init__(self, links: Links) -> None:
        self.rpcs = FakeGateway()
        self.links = links
        self.gateway = LinkedGateway(self.rpcs, links.pick)

    async def begin(self, count: int) -> list[AsyncGenerator[StreamResponse, None]]:
        """Begin streams one after the other."""
        streams = []
        for _ in range(count):
            streams.append(self.gateway.stream(ask_stream(), CallContext("")))
            assert contents([await anext(streams[-1])]) == "Hel"
        return streams


@contextlib.asynccontextmanager
async def calling(target: str, count: int, look_up: LookUp | None = None) -> AsyncIterator[Caller]:
    """Keep links; begin when ``count`` are open."""
    async with Links(target, look_up=look_up) as links:
        await until(lambda: len(links.open) == count, f"{count} links")
        yield Caller(links)


async def test_calls_spread_over_the_cores_of_a_list() -> None:
    """The next one goes where the fewest are under way; with none, to any."""
    first, second = Core(), Core()
    async with clean(), cores(first, second) as target, calling(target, 4) as there:
        streams = await there.begin(40)
        assert (len(first.calls), len(second.calls)) == (20, 20)
        first.go_on.set()
        second.go_on.set()
        assert [await rest(stream) for stream in streams] == ["lo"] * 40
        for _ in range(40):
            assert await there.gateway.chat(ask(), CallContext("")) == answer()
        assert min(len(first.calls), len(second.calls)) > 22


async def test_a_core_that_leaves_or_breaks_costs_the_others_nothing() -> None:
    """Its calls come whole when it leaves, fail once when it breaks; new ones go to the others."""
    leaving, broken, well = each = [Core() for _ in range(3)]
    async with clean(), cores(*each) as target, calling(target, 6) as there:
        streams = await there.begin(30)
        assert [len(core.calls) for core in each] == [10, 10, 10]
        assert leaving.servicer is not None
        leaving.servicer.leave()
        await until(lambda: any(link.leaving for link in there.links.open), "the word that it leaves")
        for link in list(there.links._cores[broken.place].open):
            link._stream.cancel()
        await until(lambda: broken.calls[-1].ended is not None, "the end of its calls")
        more = await there.begin(10)
        assert len(leaving.calls) == 10
        assert len(well.calls) + len(broken.calls) == 30
        for core in each:
            core.go_on.set()
        told = [await rest(stream) for stream in (*streams, *more)]
        assert (told.count("lo"), told.count("gateway_unavailable")) == (30, 10)


async def rest(stream: AsyncGenerator[StreamResponse, None]) -> str:
    """Return what a stream still says, or the code of its error."""
    try:
        return contents([response async for response in stream])
    except GatewayError as error:
        return error.code or ""


async def test_a_core_that_knows_no_links_keeps_its_share() -> None:
    """In the middle of an upgrade all are called by RPC, which takes them in turn."""
    async with clean(), cores(Core(), Core(knows_links=False)) as target, calling(target, 2) as there:
        await until(lambda: there.links.pick() is None, "the word of the older core")
        there.rpcs.on_chat = [answer()]
        assert await there.gateway.chat(ask(), CallContext("")) == answer()


async def test_links_follow_a_name() -> None:
    """It is looked up again when a link ends: calls go to new cores, and end on those that went away."""
    first, second = Core(), Core()
    places: set[str] = set()
    looks = 0

    async def look_up() -> frozenset[str]:
        nonlocal looks
        looks += 1
        if not places:
            raise socket.gaierror("not known yet")
        return frozenset(places)

    async with clean(), cores(first, second), Links("dns:///core:1", look_up=look_up) as links:
        await until(lambda: looks >= 2, "a second look for a name that is not known")
        places |= {first.place}
        await until(lambda: len(links.open) == 2, "links to the first core")
        there = Caller(links)
        streams = await there.begin(5)
        places ^= {first.place, second.place}
        idle = next(link for link in links.open if not link.in_flight)
        idle._stream.cancel()
        await until(lambda: links._cores.keys() == {second.place}, "another look")
        await until(lambda: links.pick() is not None, "a link to the second core")
        streams += await there.begin(5)
        assert (len(first.calls), len(second.calls)) == (5, 5)
        first.go_on.set()
        second.go_on.set()
        assert [await rest(stream) for stream in streams] == ["lo"] * 10
        await until(lambda: len(links.open) == 2, "the end of the first core's links")
