"""The facade as a server: where it listens, how it finds its core, and how it stops."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from portico.errors import invalid_request
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import GetStatusResponse
from portico.v1.receipt_pb2 import Attempt, Receipt
from portico.v1.status_pb2 import GatewayState
from portico_facade.config import Settings
from portico_facade.server import serve
from tests.facade.clients import PATIENCE, Client
from tests.facade.cores import SERVICE, core
from tests.facade.messages import ask, first, last, response, tokens

CHAT = "/v1/chat/completions"


class Served:
    """A facade in a task; ends with the test, or by a signal."""

    def __init__(self, task: "asyncio.Task[None]", address: str) -> None:
        self.task = task
        self.address = address

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        """Open a connection."""
        async with asyncio.timeout(PATIENCE):
            if self.address.startswith("unix:"):
                reader, writer = await asyncio.open_unix_connection(self.address.removeprefix("unix:"))
            else:
                host, _, port = self.address.rpartition(":")
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            try:
                yield Client(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(target: str, listen: str = "127.0.0.1:0", **settings: Any) -> AsyncIterator[Served]:
    """Run ``serve`` until the block ends."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Settings(**settings), target, listen=listen, ready=ready.set_result))
    async with asyncio.timeout(PATIENCE):
        either: list[asyncio.Future[Any]] = [ready, task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        try:
            yield Served(task, await ready)
            if not task.done():
                stop()
            await task
        finally:
            task.cancel()


def stop(how: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), how)


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/core.sock"


@pytest.fixture(autouse=True)
def serving(gateway: FakeGateway) -> None:
    gateway.status = GetStatusResponse(state=GatewayState.GATEWAY_STATE_SERVING)


async def test_port_0_is_reported_as_the_port_that_was_taken(gateway: FakeGateway, target: str) -> None:
    """``ready`` gets what a client can dial."""
    async with core(gateway, target), served(target) as facade, facade.connect() as client:
        assert not facade.address.endswith(":0")
        client.send("POST", CHAT, ask())
        assert (await client.answer()).status == 200


async def test_it_listens_on_a_unix_socket_and_takes_it_away(
    gateway: FakeGateway, target: str, tmp_path: Path
) -> None:
    """For a proxy on the same machine: readable by the group."""
    path = tmp_path / "facade.sock"
    async with core(gateway, target), served(target, f"unix:{path}") as facade, facade.connect() as client:
        assert facade.address == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o660
        client.send("POST", CHAT, ask(stream=True))
        assert (await client.answer()).events[-1] == "[DONE]"
    assert not path.exists()


async def test_a_port_that_is_taken_is_an_error(target: str) -> None:
    """Not a second server that steals requests."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        async with served(target, f"127.0.0.1:{taken.getsockname()[1]}"):
            pass


async def test_errors_and_receipts_cross_grpc(gateway: FakeGateway, target: str) -> None:
    """As if the gateway were in the same process."""
    gateway.receipt = Receipt(attempts=[Attempt(), Attempt()])
    async with core(gateway, target), served(target) as facade, facade.connect() as client:
        client.send("POST", CHAT, ask())
        assert (await client.answer()).headers["x-portico-attempts"] == "2"
        gateway.on_chat = [invalid_request("Too hot.", "temperature", "out_of_range")]
        client.send("POST", CHAT, ask())
        answer = await client.answer()
        assert answer.status == 400
        assert answer.error["param"] == "temperature"


async def test_without_a_core_calls_fail_at_once_and_work_when_it_comes(
    gateway: FakeGateway, target: str
) -> None:
    """503, no waiting; serving again within 2 s of the core's return, without a restart."""
    async with served(target) as facade, facade.connect() as client:
        async with asyncio.timeout(2):
            client.send("POST", CHAT, ask())
            answer = await client.answer()
        assert answer.status == 503
        assert answer.error["code"] == "gateway_unavailable"
        assert target.encode() not in answer.body
        async with core(gateway, target), asyncio.timeout(2):
            while True:
                client.send("GET", "/readyz")
                if (await client.answer()).status == 200:
                    break
            client.send("POST", CHAT, ask())
            assert (await client.answer()).status == 200


async def test_a_core_that_dies_in_mid_stream_ends_the_stream_with_an_error_event(
    gateway: FakeGateway, target: str
) -> None:
    """Within a second."""
    gateway.on_stream = [first("one"), asyncio.Event()]
    async with served(target) as facade, facade.connect() as client:
        async with core(gateway, target) as running:
            client.send("POST", CHAT, ask(stream=True))
            await client.head()
            await client.chunk()
            async with asyncio.timeout(1):
                await running.server.stop(None)
                event = await client.chunk()
        assert b'data: {"error":{' in event
        assert b"gateway_unavailable" in event
        assert await client.chunk() == b""


async def test_calls_are_spread_over_the_addresses_of_a_target() -> None:
    """All of them in turn, except a core whose health says that it drains."""
    ports = _free_ports(2)
    gateways = [FakeGateway(), FakeGateway()]
    for fake in gateways:
        fake.on_chat = [response()]
    async with (
        core(gateways[0], f"127.0.0.1:{ports[0]}"),
        core(gateways[1], f"127.0.0.1:{ports[1]}") as second,
        served(f"ipv4:127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}") as facade,
        facade.connect() as client,
    ):
        while not all(fake.calls for fake in gateways):
            client.send("POST", CHAT, ask())
            assert (await client.answer()).status == 200
        await second.health.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
        in_a_row = 0
        while in_a_row < 10:
            before = len(gateways[0].calls)
            client.send("POST", CHAT, ask())
            assert (await client.answer()).status == 200
            in_a_row = in_a_row + 1 if len(gateways[0].calls) > before else 0


async def test_a_name_is_resolved(gateway: FakeGateway) -> None:
    """dns:///, as for a headless service."""
    [port] = _free_ports(1)
    async with (
        core(gateway, f"127.0.0.1:{port}"),
        served(f"dns:///localhost:{port}") as facade,
        facade.connect() as client,
    ):
        client.send("POST", CHAT, ask())
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_requests_finish(
    gateway: FakeGateway, target: str, how: signal.Signals
) -> None:
    """No new connections, not ready on old ones, and a clean end when the last stream is done."""
    go_on = asyncio.Event()
    gateway.on_stream = [first("one"), go_on, tokens("two"), last()]
    async with (
        core(gateway, target),
        served(target) as facade,
        facade.connect() as client,
        facade.connect() as kept,
    ):
        kept.send("GET", "/readyz")
        assert (await kept.answer()).status == 200
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        await client.chunk()
        stop(how)
        await _refuses(facade)
        kept.send("GET", "/readyz")
        answer = await kept.answer()
        assert answer.status == 503
        assert answer.headers["connection"] == "close"
        assert not facade.task.done()
        go_on.set()
        rest = [chunk async for chunk in _chunks(client)]
        assert rest[-1] == b"data: [DONE]\n\n"
        # Its head did not say that the connection would end: the next request may be on its way.
        client.send("GET", "/livez")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed()
        await facade.task


async def test_a_client_that_is_still_reading_gets_the_rest_of_its_answer(
    gateway: FakeGateway, target: str
) -> None:
    """A request is served when its last byte is on its way, not when it is written."""
    content = "x" * 16_000_000
    gateway.on_chat = [response(content)]
    async with core(gateway, target), served(target) as facade, facade.connect() as client:
        client.send("POST", CHAT, ask())
        await gateway.ended()
        head = await client.head()
        stop()
        await _refuses(facade)
        body = await client.reader.readexactly(int(head.headers["content-length"]))
        assert content.encode() in body
        await facade.task


async def test_what_does_not_finish_within_the_budget_is_cut_with_an_error(
    gateway: FakeGateway, target: str
) -> None:
    """Streams by an event, others by a status, uploads too."""
    gateway.on_stream = [first("one"), asyncio.Event()]
    gateway.on_chat = [asyncio.Event()]
    async with (
        core(gateway, target),
        served(target, drain=0.1) as facade,
        facade.connect() as stream,
        facade.connect() as whole,
        facade.connect() as upload,
    ):
        stream.send("POST", CHAT, ask(stream=True))
        await stream.head()
        await stream.chunk()
        whole.send("POST", CHAT, ask())
        await gateway.received(2)
        upload.send("POST", CHAT, b'{"model"', expect="100-continue", content_length="1000")
        assert (await upload.head()).status == 100
        stop()
        assert b'"code":"shutting_down"' in await stream.chunk()
        assert await stream.chunk() == b""
        for cut in (whole, upload):
            answer = await cut.answer()
            assert answer.status == 503
            assert answer.error["code"] == "shutting_down"
        await facade.task


async def test_a_second_signal_ends_the_drain(gateway: FakeGateway, target: str) -> None:
    """For the impatient: running requests are cut at once."""
    gateway.on_stream = [first("one"), asyncio.Event()]
    async with core(gateway, target), served(target) as facade, facade.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        await client.chunk()
        stop()
        await _refuses(facade)
        stop()
        assert b'"code":"shutting_down"' in await client.chunk()
        await facade.task


async def _refuses(facade: Served) -> None:
    """Wait until the facade accepts no connection."""
    with contextlib.suppress(OSError, EOFError):
        while True:
            async with facade.connect() as late:
                late.send("GET", "/livez")
                await late.head()


async def _chunks(client: Client) -> AsyncIterator[bytes]:
    while chunk := await client.chunk():
        yield chunk


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in taken]
