"""What travels beside the messages of gRPC: metadata, errors and their details."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn, cast

import grpc
import pytest
from grpc import aio
from grpc_status import rpc_status

from portico.errors import from_upstream, upstream_failed
from portico.remote import RECEIPT, channel_options, error_of
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import DESCRIPTOR
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.receipt_pb2 import Receipt
from portico_core.service import Rpc, add_gateway
from tests.support.core import (
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    direct,
    served,
)


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


class Ended:
    """What gRPC hands to a handler, for a call that ends as it is answered: no client can time that."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None

    async def abort(self, *_: object) -> NoReturn:
        raise aio.BaseError('Failed "execute_batch"')


async def test_an_error_that_finds_its_call_ended_ends_quietly() -> None:
    """As a cancelled call does: an error of gRPC's own would be logged with a traceback."""
    with pytest.raises(asyncio.CancelledError):
        async with Rpc(ask(), cast("aio.ServicerContext[Any, Any]", Ended())):
            raise upstream_failed("too late")


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
