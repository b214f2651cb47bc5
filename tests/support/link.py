"""A gateway behind real links, and links without a Portico at one of their ends."""

import asyncio
import contextlib
import gc
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grpc import aio

from portico.gateway import Gateway
from portico.link import LinkedGateway, Links
from portico.link.v1.link_pb2 import Begin, CallerFrame, CoreFrame, Method, OpenRequest, OpenResponse
from portico.link.v1.link_pb2_grpc import (
    LinkServiceServicer,
    LinkServiceStub,
    add_LinkServiceServicer_to_server,
)
from portico.remote import RemoteGateway, channel_options
from portico.v1.gateway_pb2_grpc import add_GatewayServiceServicer_to_server
from portico_core.link import LinkServicer
from portico_core.service import GatewayServicer
from tests.support.core import ask_stream

#: Seconds. Two busy cores take their time.
PATIENCE: Final = 30.0


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what nobody tells of."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:g} s in vain: {what}") from None


@contextlib.asynccontextmanager
async def clean() -> AsyncIterator[None]:
    """Fail when the block leaves a task behind, or an exception that nobody has seen."""
    loop = asyncio.get_running_loop()
    before, told = asyncio.all_tasks(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        yield
        await until(lambda: asyncio.all_tasks() <= before, "the end of all tasks")
        gc.collect()
        assert told == []
    finally:
        loop.set_exception_handler(None)


@contextlib.contextmanager
def socket_path() -> Any:
    """Yield the gRPC address of a Unix socket in a folder whose name is short enough."""
    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        yield f"unix:{Path(folder, 'core.sock')}"


@contextlib.asynccontextmanager
async def server(
    address: str, gateway: Gateway | None = None, link: LinkServiceServicer | None = None
) -> AsyncIterator[aio.Server]:
    """Serve a gateway's RPCs, links, or both."""
    running = aio.server(options=channel_options())
    if gateway is not None:
        add_GatewayServiceServicer_to_server(GatewayServicer(gateway), running)
    if link is not None:
        add_LinkServiceServicer_to_server(link, running)
    running.add_insecure_port(address)
    await running.start()
    try:
        yield running
    finally:
        await running.stop(None)


@dataclass
class Linked:
    """A facade's view of a core, and the core's own."""

    address: str
    gateway: LinkedGateway
    links: Links
    servicer: LinkServicer

    @property
    def under_way(self) -> tuple[int, int]:
        """Calls that either end knows of."""
        at_core = sum(max(len(link._calls), len(link._tasks)) for link in self.servicer._links)
        return sum(link.in_flight for link in self.links.open), at_core

    async def empty(self) -> None:
        """Wait until neither end knows of a call."""
        await until(lambda: self.under_way == (0, 0), "the end of all calls")


@contextlib.asynccontextmanager
async def linked(gateway: Gateway, *, much_later: float = 60, **options: Any) -> AsyncIterator[Linked]:
    """Put real links, both of them open, before a gateway; what has no link goes by RPC."""
    servicer = LinkServicer(gateway, **options)
    with socket_path() as address:
        async with (
            clean(),
            server(address, gateway, servicer),
            aio.insecure_channel(address, channel_options()) as channel,
            Links(address, much_later=much_later) as links,
        ):
            await until(lambda: len(links.open) == 2, "two links")
            yield Linked(address, LinkedGateway(RemoteGateway(channel), links.pick), links, servicer)


class Caller:
    """A caller that does as it likes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def send(self, *frames: CallerFrame) -> None:
        await self.stream.write(OpenRequest(frames=frames))

    async def frames(self, holds: Callable[[CoreFrame], bool]) -> list[CoreFrame]:
        """Return all frames up to the first one for which ``holds`` is true."""
        seen: list[CoreFrame] = []
        async with asyncio.timeout(PATIENCE):
            while isinstance(response := await self.stream.read(), OpenResponse):
                for frame in response.frames:
                    seen.append(frame)
                    if holds(frame):
                        return seen
        raise AssertionError(f"the core ended the link after {seen}")

    async def end_of(self, call_id: int) -> CoreFrame:
        """Return the last frame of a call."""
        return (await self.frames(lambda frame: frame.call_id == call_id and frame.HasField("end")))[-1]


@contextlib.asynccontextmanager
async def caller(address: str) -> AsyncIterator[Caller]:
    """Open a link that nobody keeps in order."""
    async with aio.insecure_channel(address, channel_options()) as channel:
        stub: Any = LinkServiceStub(channel)
        stream = stub.Open()
        try:
            yield Caller(stream)
        finally:
            stream.cancel()


def begin(call_id: int, data: bytes | None = None, **more: Any) -> CallerFrame:
    """Return a frame with which a call begins: a stream, unless told otherwise."""
    request = ask_stream().SerializeToString() if data is None else data
    method = more.pop("method", Method.METHOD_STREAM)
    return CallerFrame(call_id=call_id, begin=Begin(method=method, **more), data=request)


class Core(LinkServiceServicer):
    """A core's end of links that does as it likes."""

    def __init__(self, script: Callable[[Any], Awaitable[None]]) -> None:
        self._script = script
        self.opened = 0

    async def Open(self, _requests: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        self.opened += 1
        await self._script(context)
