"""The core as a server: addresses, health, reflection, metadata, errors, drain and signals."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from portico.errors import GatewayError, from_upstream, upstream_failed
from portico.gateway import CallContext
from portico.remote import RECEIPT, RemoteGateway, channel_options, error_of
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import DESCRIPTOR, GetStatusRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.receipt_pb2 import Receipt
from portico.v1.status_pb2 import GatewayState
from portico_core.server import SERVICE, Server
from portico_core.service import add_gateway
from tests.support.core import (
    FOREVER,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    contents,
    direct,
    finish,
    role,
    served,
    text,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="portico-") as name:
        yield Path(name)


@pytest.fixture
async def channel() -> AsyncIterator[aio.Channel]:
    """A channel to a core whose backend answers."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway, served(gateway) as channel:
        yield channel


# --- addresses


@pytest.mark.parametrize("listen", ["127.0.0.1:0", ":0", "localhost:0"])
async def test_a_server_listens_on_a_port_of_the_machines_choice(listen: str) -> None:
    """The address that it tells is the one to dial."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        server = Server(gateway)
        (bound,) = await server.start([listen])
        host, _, port = bound.rpartition(":")
        assert port != "0"
        async with aio.insecure_channel(f"localhost:{port}" if host == "[::]" else bound) as channel:
            response = await RemoteGateway(channel).chat(ask(), CallContext(""))
        assert response.served.backend == "a"
        await server.stop(0)


async def test_a_server_listens_on_several_addresses(folder: Path) -> None:
    """A socket for the facade, a port for everybody else."""
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        server = Server(gateway)
        bound = await server.start([f"unix:{folder}/core.sock", "127.0.0.1:0"])
        assert bound[0] == f"unix:{folder}/core.sock"
        for address in bound:
            async with aio.insecure_channel(address) as channel:
                assert (await RemoteGateway(channel).chat(ask(), CallContext(""))).served.backend == "a"
        await server.stop(0)


async def refusal(listen: str) -> str:
    async with direct(config({"a": Upstream()})) as gateway:
        server = Server(gateway)
        with pytest.raises(OSError, match="cannot listen on") as caught:
            await server.start([listen])
        await server.stop(0)
    return str(caught.value)


async def test_a_port_in_use_is_refused() -> None:
    """Two servers do not share a port by accident."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {address}: Address already in use" in await refusal(address)


async def test_a_socket_in_use_is_refused_and_a_stale_one_is_not(folder: Path) -> None:
    """gRPC itself would take the path over from a running server."""
    address = f"unix:{folder}/core.sock"
    async with direct(config({"a": Upstream([[answer()]])})) as gateway:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{folder}/core.sock")
        server = Server(gateway)
        await server.start([address])
        assert "another server does" in await refusal(address)
        async with aio.insecure_channel(address) as channel:
            assert (await RemoteGateway(channel).chat(ask(), CallContext(""))).served.backend == "a"
        await server.stop(0)


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("nonsense", "it is neither HOST:PORT nor unix:/PATH"),
        ("127.0.0.1:70000", "it is neither HOST:PORT nor unix:/PATH"),
        ("unix:", "it is neither HOST:PORT nor unix:/PATH"),
        ("unix:/nowhere/at/all.sock", "No such file or directory"),
        ("unix:/tmp/" + "x" * 120, "too long"),
        ("192.0.2.1:1", "Cannot assign requested address"),
        ("no.such.host.invalid:1", "ame or service not known"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_is_refused(listen: str, reason: str) -> None:
    """The message names the address and the reason."""
    assert reason in await refusal(listen)


# --- what else it serves


def health_stub(channel: aio.Channel) -> Any:
    """Return a stub; the types that are published for it know no asyncio."""
    return health_pb2_grpc.HealthStub(channel)


async def test_health_is_told_for_the_server_and_for_the_service(channel: aio.Channel) -> None:
    """Both are SERVING, as load balancers ask for them."""
    stub = health_stub(channel)
    for service in ("", SERVICE):
        told = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert told.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_services(channel: aio.Channel) -> None:
    """grpcurl and its kin need no .proto files."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    services = [each.name async for told in call for each in told.list_services_response.service]
    assert SERVICE == "portico.v1.GatewayService"
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


async def test_requests_of_twenty_megabytes_pass(channel: aio.Channel) -> None:
    """Images travel inside of requests."""
    request = ask()
    request.params.messages[0].content = "x" * 20_000_000
    assert (await RemoteGateway(channel).chat(request, CallContext(""))).served.backend == "a"


# --- beside the message


class Told:
    """A servicer over a fake gateway, which shows what a servicer makes of a call."""

    def __init__(self, gateway: FakeGateway, channel: aio.Channel) -> None:
        self.gateway = gateway
        self.channel = channel
        self.stub = GatewayServiceStub(channel)


@pytest.fixture
async def told(folder: Path) -> AsyncIterator[Told]:
    fake = FakeGateway()
    fake.on_chat = [answer()]
    server = aio.server()
    add_gateway(fake, server)
    server.add_insecure_port(f"unix:{folder}/fake.sock")
    await server.start()
    async with aio.insecure_channel(f"unix:{folder}/fake.sock", channel_options()) as channel:
        yield Told(fake, channel)
    await server.stop(None)


async def test_metadata_makes_the_context(told: Told) -> None:
    """Request id, key, trace and deadline come beside the request."""
    metadata = (("x-request-id", "req_7"), ("authorization", "Bearer k"), ("traceparent", "00-1-2-01"))
    await told.stub.Chat(ask(), timeout=30, metadata=metadata)
    context = told.gateway.calls[0].context
    assert (context.request_id, context.authorization, context.traceparent) == (
        "req_7", "Bearer k", "00-1-2-01",
    )  # fmt: skip
    assert context.deadline is not None
    # gRPC rounds up what it sends.
    assert 20 < context.deadline - time.monotonic() < 31


async def test_a_request_id_without_end_is_not_kept(told: Told) -> None:
    """The gateway makes up its own instead."""
    await told.stub.Chat(ask(), metadata=(("x-request-id", "x" * 129),))
    assert told.gateway.calls[0].context.request_id == ""
    assert told.gateway.calls[0].context.deadline is None


@pytest.mark.parametrize(
    "method", [each.name for each in DESCRIPTOR.services_by_name["GatewayService"].methods]
)
async def test_a_request_that_cannot_be_read_is_the_callers_mistake(told: Told, method: str) -> None:
    """Whatever the RPC, in our words; the gateway is not called."""
    kind: Any = told.channel.unary_stream if "Stream" in method else told.channel.unary_unary
    call = kind(f"/portico.v1.GatewayService/{method}")(b"\xff\xff")
    with pytest.raises(aio.AioRpcError) as caught:
        await (anext(aiter(call)) if "Stream" in method else call)
    error = error_of(caught.value)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.http_status == 400
    assert error.message.startswith(
        "The request cannot be read: its bytes are not the message of this RPC. Make"
    )
    assert not told.gateway.calls


async def test_an_exception_does_not_reach_the_caller(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Not even one that a gateway should not raise: it is for the log."""
    told.gateway.on_chat = [KeyError("sk-secret")]
    told.gateway.on_stream = [KeyError("sk-secret")]
    for call in (told.stub.Chat(ask()), told.stub.Stream(ask_stream()).read()):
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "sk-secret" not in repr(caught.value)
    assert caplog.text.count("KeyError: 'sk-secret'") == 2


async def test_clients_do_not_repeat_what_backends_have_failed_at() -> None:
    """Where backends were tried the trailers say so; where none was, a client may try again."""
    upstream = Upstream([[upstream_failed("broken")]])
    async with direct(config({"a": upstream})) as gateway, served(gateway) as channel:
        stub = GatewayServiceStub(channel)
        trailers = []
        for model in ("m", "nope"):
            with pytest.raises(aio.AioRpcError) as caught:
                await stub.Chat(ask(model))
            trailers.append(dict(caught.value.trailing_metadata() or ()))
    assert trailers[0]["grpc-retry-pushback-ms"] == "-1"
    assert "grpc-retry-pushback-ms" not in trailers[1]
    receipts = [Receipt.FromString(bytes(each[RECEIPT])) for each in trailers]
    assert [len(receipt.attempts) for receipt in receipts] == [2, 0]
    assert all(receipt.request_id.startswith("req_") for receipt in receipts)


async def test_errors_carry_standard_details() -> None:
    """A client in any language finds google.rpc's RetryInfo and ErrorInfo."""
    busy = from_upstream(429, "slow down", retry_after=7.0)
    async with direct(config({"a": Upstream([[busy]])})) as gateway, served(gateway) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await GatewayServiceStub(channel).Chat(ask())
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None
    assert {each.TypeName() for each in status.details} == {
        "portico.v1.ErrorDetail",
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
    }


# --- the end


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
