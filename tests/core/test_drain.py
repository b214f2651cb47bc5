"""The end of a core: drains and signals."""

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.remote import RemoteGateway, channel_options
from portico.v1.gateway_pb2 import GetStatusRequest
from portico.v1.status_pb2 import GatewayState
from portico_core.server import SERVICE, Server
from tests.support.core import (
    FOREVER,
    Upstream,
    ask,
    ask_stream,
    config,
    contents,
    direct,
    finish,
    role,
    text,
)
from tests.support.health import health_stub


async def test_a_drain_lets_running_streams_finish(folder: Path) -> None:
    """Health turns NOT_SERVING, no new call gets in, and the stream comes to its end."""
    go_on = asyncio.Event()
    upstream = Upstream([[role(), text("Hel"), go_on, text("lo"), finish()]])
    address = f"unix:{folder}/core.sock"
    async with direct(config({"a": upstream})) as gateway:
        server = Server(gateway)
        await server.start([address])
        async with aio.insecure_channel(address, channel_options()) as channel:
            watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            stream = RemoteGateway(channel).stream(ask_stream(), CallContext(""))
            responses = [await anext(stream)]

            stopping = asyncio.create_task(server.stop(30))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            # What is on its way while clients hear of it is still served: refusing begins a little later.
            serving = GatewayState.GATEWAY_STATE_SERVING
            while (await gateway.get_status(GetStatusRequest(), CallContext(""))).state == serving:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            async with aio.insecure_channel(address, channel_options()) as late:
                with pytest.raises(GatewayError) as caught:
                    await RemoteGateway(late).chat(ask(), CallContext(""))
            assert caught.value.http_status == 503

            go_on.set()
            responses += [response async for response in stream]
            started = time.monotonic()
            # The watch on the health, which never ends, does not hold it up.
            await stopping
            assert time.monotonic() - started < 5
            assert contents(responses) == "Hello"
    assert upstream.over == 1


@pytest.mark.parametrize("end", ["budget", "hurry"])
async def test_a_drain_ends_what_does_not(folder: Path, end: str) -> None:
    """When its budget is spent, or in a hurry, running calls are ended and their backends released."""
    upstream = Upstream([[role(), text("Hel"), FOREVER]])
    address, hurry = f"unix:{folder}/core.sock", asyncio.Event()
    async with direct(config({"a": upstream})) as gateway:
        server = Server(gateway)
        await server.start([address])
        async with aio.insecure_channel(address, channel_options()) as channel:
            stream = RemoteGateway(channel).stream(ask_stream(), CallContext(""))
            await anext(stream)
            if end == "hurry":
                asyncio.get_running_loop().call_soon(hurry.set)
            await server.stop(0.1 if end == "budget" else 60, hurry)
            with pytest.raises(GatewayError) as caught:
                await anext(stream)
            assert caught.value.http_status == 503
    assert upstream.over == 1


PROGRAM = """
    import asyncio, sys
    from portico_core.server import serve
    from tests.support.core import FOREVER, Upstream, config, role, text
    upstream = Upstream([[role(), text("Hel"), FOREVER]])
    ready = lambda address: print(address, flush=True)
    asyncio.run(serve(config({"a": upstream}), listen=[sys.argv[1]], ready=ready))
    print("over", upstream.over, "closed", upstream.closed, flush=True)
"""


@contextlib.asynccontextmanager
async def program(listen: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``serve`` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(PROGRAM),
        listen,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_server(number: signal.Signals) -> None:
    """It exits with 0, with its adapters closed."""
    async with program("127.0.0.1:0") as process:
        assert (await line(process)).startswith("127.0.0.1:")
        process.send_signal(number)
        assert await line(process) == "over 0 closed True"
        assert await process.wait() == 0


async def test_a_second_signal_does_not_wait_for_calls() -> None:
    """The first one drains; with a stream that goes on, the second one ends it."""
    async with program("127.0.0.1:0") as process:
        address = await line(process)
        async with aio.insecure_channel(address, channel_options()) as channel:
            watch = health_stub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            stream = RemoteGateway(channel).stream(ask_stream(), CallContext(""))
            await anext(stream)
            process.send_signal(signal.SIGTERM)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            process.send_signal(signal.SIGTERM)
            with pytest.raises(GatewayError):
                await anext(stream)
        assert await line(process) == "over 1 closed True"
        assert await process.wait() == 0
