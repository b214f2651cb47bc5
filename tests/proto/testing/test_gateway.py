"""The fake gateway plays its scripts and records how calls end."""

import asyncio
from contextlib import aclosing

import pytest

from portico.errors import GatewayError, upstream_failed
from portico.gateway import CallContext, Gateway
from portico.testing.gateway import Ended, FakeGateway
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    GetModelRequest,
    GetStatusRequest,
    GetStatusResponse,
    ListModelsRequest,
    StreamRequest,
    StreamResponse,
)
from portico.v1.models_pb2 import Model
from portico.v1.receipt_pb2 import Receipt

ONE = StreamResponse(chunks=[ChatChunk()])


async def test_chat_answers_what_its_script_says() -> None:
    """The message is returned; request and context are recorded; the context gets the receipt."""
    gateway = FakeGateway()
    gateway.on_chat = [ChatResponse()]
    gateway.receipt = Receipt(request_id="r")
    as_protocol: Gateway = gateway
    request, context = ChatRequest(), CallContext("r")
    assert await as_protocol.chat(request, context) == ChatResponse()
    call = await gateway.ended()
    assert (call.method, call.request, call.context, call.ended) == ("chat", request, context, Ended.WELL)
    assert context.receipt == gateway.receipt


async def test_a_stream_waits_for_events_and_fails_where_its_script_does() -> None:
    """What comes before the error arrives."""
    gateway, go_on = FakeGateway(), asyncio.Event()
    gateway.on_stream = [ONE, go_on, ONE, upstream_failed("broken")]
    responses = gateway.stream(StreamRequest(), CallContext("r"))
    assert await anext(responses) == ONE
    second = asyncio.ensure_future(anext(responses))
    assert not second.done()
    go_on.set()
    assert await second == ONE
    with pytest.raises(GatewayError, match="broken"):
        await anext(responses)
    assert (await gateway.ended()).ended is Ended.FAILED


async def test_cancelled_calls_are_told_from_finished_ones() -> None:
    """A cancelled chat, a closed stream."""
    gateway = FakeGateway()
    gateway.on_chat = [asyncio.Event()]
    gateway.on_stream = [ONE, asyncio.Event()]
    task = asyncio.create_task(gateway.chat(ChatRequest(), CallContext("r")))
    assert (await gateway.received()).ended is None
    task.cancel()
    assert (await gateway.ended()).ended is Ended.CANCELLED
    async with aclosing(gateway.stream(StreamRequest(), CallContext("r"))) as responses:
        await anext(responses)
    assert (await gateway.ended(2)).ended is Ended.CANCELLED


async def test_models_and_status_are_those_that_were_given() -> None:
    """An unknown model is a 404; an error in on_read comes first."""
    gateway, context = FakeGateway(), CallContext("r")
    gateway.models = [Model(id="a")]
    gateway.status = GetStatusResponse(version="1")
    assert [model.id for model in (await gateway.list_models(ListModelsRequest(), context)).models] == ["a"]
    assert (await gateway.get_model(GetModelRequest(id="a"), context)).model.id == "a"
    with pytest.raises(GatewayError, match="`b` does not exist"):
        await gateway.get_model(GetModelRequest(id="b"), context)
    assert (await gateway.get_status(GetStatusRequest(), context)).version == "1"
    gateway.on_read = [upstream_failed("away")]
    with pytest.raises(GatewayError, match="away"):
        await gateway.list_models(ListModelsRequest(), context)
