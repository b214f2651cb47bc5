"""The client for threads on grpcio-testing's fake channel: what it asks of gRPC, without a server."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import grpc
import grpc_testing
import pytest
from grpc_status import rpc_status

from portico.client import Client, NotFoundError, StreamClosedError, UnavailableError
from portico.errors import unknown_model
from portico.remote import RECEIPT
from portico.status import to_status
from portico.v1.gateway_pb2 import DESCRIPTOR, ChatResponse, ListModelsResponse, StreamResponse
from portico.v1.models_pb2 import Model
from portico.v1.receipt_pb2 import Receipt
from tests.proto.client.service import chat_stream

T = TypeVar("T")

SERVICE = DESCRIPTOR.services_by_name["GatewayService"]
TRAILERS = ((RECEIPT, Receipt(request_id="r1").SerializeToString()),)


@pytest.fixture
def channel() -> Any:
    return grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())


def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """Call ``function`` in a thread that a failed test does not wait for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_chat_is_one_rpc(channel: Any) -> None:
    client = Client(channel, api_key="sk-1")
    answer = in_thread(client.chat, "gpt-4", "hello", request_id="r1")
    metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["Chat"])
    assert {("x-request-id", "r1"), ("authorization", "Bearer sk-1")} <= set(metadata)
    assert request.params.model == "gpt-4"
    assert request.params.messages[0].role == "user"
    response = ChatResponse()
    response.completion.choices.add().message.content = "hi"
    rpc.terminate(response, TRAILERS, grpc.StatusCode.OK, "")
    assert answer.result(5).text == "hi"
    assert answer.result(5).receipt == Receipt(request_id="r1")


def test_an_error_is_read_from_the_details(channel: Any) -> None:
    call: Future[Model] = in_thread(Client(channel).model, "x", request_id="r1")
    _, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["GetModel"])
    assert request.id == "x"
    status = rpc_status.to_status(to_status(unknown_model("x")))
    rpc.terminate(None, (*status.trailing_metadata, *TRAILERS), status.code, status.details)
    with pytest.raises(NotFoundError) as caught:
        call.result(5)
    assert caught.value.code == "model_not_found"
    assert caught.value.receipt == Receipt(request_id="r1")


@pytest.mark.parametrize("garbage", [b"\xff", b"\x08\x05"], ids=["unreadable", "of another code"])
def test_details_that_cannot_be_trusted_leave_the_code(channel: Any, garbage: bytes) -> None:
    """Some proxy's. A receipt that cannot be read is no receipt."""
    call = in_thread(Client(channel).models)
    _, _, rpc = channel.take_unary_unary(SERVICE.methods_by_name["ListModels"])
    trailers = (("grpc-status-details-bin", garbage), (RECEIPT, b"\xff"))
    rpc.terminate(None, trailers, grpc.StatusCode.UNAVAILABLE, "gone")
    with pytest.raises(UnavailableError) as caught:
        call.result(5)
    assert caught.value.receipt is None
    assert caught.value.detail == "gone"


def test_models_come_as_a_list(channel: Any) -> None:
    call = in_thread(Client(channel).models, headers={"authorization": "Bearer of-the-caller"})
    metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["ListModels"])
    assert [(each.name, each.value) for each in request.headers] == [
        ("authorization", b"Bearer of-the-caller")
    ]
    assert "authorization" not in dict(metadata)
    rpc.terminate(ListModelsResponse(models=[Model(id="m")]), (), grpc.StatusCode.OK, "")
    assert call.result(5) == [Model(id="m")]


def test_a_stream_is_read_as_it_comes_and_ends_with_its_receipt(channel: Any) -> None:
    stream = Client(channel).stream("gpt-4", "hello")
    _, _, rpc = channel.take_unary_stream(SERVICE.methods_by_name["Stream"])
    first, second = chat_stream("once ", "upon")
    texts = stream.text()
    rpc.send_response(first)
    assert next(texts) == "once "
    rpc.send_response(StreamResponse())
    rpc.send_response(second)
    assert next(texts) == "upon"
    rpc.terminate(TRAILERS, grpc.StatusCode.OK, "")
    assert list(texts) == []
    assert stream.receipt == Receipt(request_id="r1")


def test_leaving_a_stream_cancels_its_rpc(channel: Any) -> None:
    with Client(channel).stream("gpt-4", "hello") as stream:
        _, _, rpc = channel.take_unary_stream(SERVICE.methods_by_name["Stream"])
        rpc.send_response(chat_stream("once ")[0])
        next(stream)
    in_thread(rpc.cancelled).result(5)
    with pytest.raises(StreamClosedError):
        next(stream)


def test_a_channel_of_ones_own_is_left_open(channel: Any) -> None:
    with Client(channel) as client:
        pass
    call = in_thread(client.models)
    _, _, rpc = channel.take_unary_unary(SERVICE.methods_by_name["ListModels"])
    rpc.terminate(ListModelsResponse(), (), grpc.StatusCode.OK, "")
    assert call.result(5) == []
