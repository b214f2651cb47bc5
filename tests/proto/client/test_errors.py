"""Failures arrive as exceptions that tell what an HTTP caller would be told, and the request id."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import grpc
import pytest

from portico.client import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DeadlineExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnavailableError,
)
from portico.client.errors import api_error
from portico.errors import (
    RATE_LIMIT,
    ErrorClass,
    GatewayError,
    internal,
    invalid_request,
    too_large,
    unavailable,
    unknown_model,
    upstream_failed,
    upstream_silent,
)
from portico.gateway import CallContext
from portico.v1.gateway_pb2 import ChatResponse
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Attempt, Receipt
from tests.proto.client.callers import Dial
from tests.proto.client.service import Service

RECEIPT = Receipt(request_id="r1", attempts=[Attempt(upstream_status=429)])


async def test_an_error_carries_all_that_the_gateway_said(client: Any, service: Service) -> None:
    """OpenAI's type, code and param, the HTTP status, when to come back, rate limits, the receipt."""
    service.receipt = RECEIPT
    service.script = [
        GatewayError(
            ErrorClass.CAPACITY,
            429,
            "Slow down.",
            RATE_LIMIT,
            "rate_limit_exceeded",
            "model",
            retry_after=1.5,
            headers=[Header(name="x-ratelimit-remaining-requests", value=b"0")],
        )
    ]
    with pytest.raises(RateLimitError) as caught:
        await client.chat("gpt-4", "hello", request_id="r1")
    error = caught.value
    assert (error.http_status, error.message) == (429, "Slow down.")
    assert (error.type, error.code, error.param) == (RATE_LIMIT, "rate_limit_exceeded", "model")
    assert error.error_class is ErrorClass.CAPACITY
    assert error.retry_after == 1.5
    assert error.headers == {"x-ratelimit-remaining-requests": b"0"}
    assert error.request_id == "r1"
    assert error.receipt == RECEIPT
    assert str(error) == "Slow down. (429 rate_limit_exceeded, request r1)"


CLASSES = [
    (invalid_request("Wrong."), BadRequestError),
    (too_large("request body"), BadRequestError),
    (GatewayError(ErrorClass.CREDENTIAL, 401, "Who?", "authentication_error"), AuthenticationError),
    (GatewayError(ErrorClass.CREDENTIAL, 403, "No.", "permission_error"), PermissionDeniedError),
    (unknown_model("x"), NotFoundError),
    (GatewayError(ErrorClass.CAPACITY, 429, "Slow.", "rate_limit_error"), RateLimitError),
    (internal("broken"), InternalServerError),
    (upstream_failed("Broken."), InternalServerError),
    (unavailable("Gone."), UnavailableError),
    (upstream_silent("Silent."), DeadlineExceededError),
]


@pytest.mark.parametrize(("error", "expected"), CLASSES, ids=lambda value: getattr(value, "http_status", ""))
async def test_the_class_follows_the_status(
    client: Any, service: Service, error: GatewayError, expected: type[APIError]
) -> None:
    service.script = [error]
    with pytest.raises(APIError) as caught:
        await client.chat("gpt-4", "hello")
    assert type(caught.value) is expected
    assert caught.value.http_status == error.http_status
    assert caught.value.code == error.code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, BadRequestError),
        (grpc.StatusCode.UNAUTHENTICATED, AuthenticationError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.UNKNOWN, InternalServerError),
        (grpc.StatusCode.UNAVAILABLE, UnavailableError),
        (grpc.StatusCode.CANCELLED, UnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError),
    ],
)
async def test_without_details_the_grpc_code_decides(
    client: Any, service: Service, code: grpc.StatusCode, expected: type[APIError]
) -> None:
    """As where a proxy answers. A server that cancels is one that goes away."""
    service.script = [code]
    with pytest.raises(APIError) as caught:
        await client.chat("gpt-4", "hello")
    assert type(caught.value) is expected


async def test_every_method_raises_them(client: Any, service: Service) -> None:
    service.script = [unknown_model("x")]
    for call in (
        client.complete("x", "a"),
        client.embed("x", "a"),
        client.models(),
        client.model("x"),
        client.status(),
        client.stream("x", "a").answer(),
        anext(client.stream_complete("x", "a")),
    ):
        with pytest.raises(NotFoundError, match="`x`"):
            await call


async def test_a_server_out_of_reach_is_unavailable(dial: Dial, folder: Path) -> None:
    """At once, with gRPC's own words for the log."""
    async with dial(f"unix:{folder}/nobody.sock") as client:
        with pytest.raises(UnavailableError) as caught:
            await client.chat("gpt-4", "hello", request_id="r1")
        assert "nobody.sock" in caught.value.detail
        assert "nobody.sock" in str(caught.value)
        assert "nobody.sock" not in caught.value.message
        assert caught.value.request_id == "r1"
        assert caught.value.receipt is None
        with pytest.raises(UnavailableError):
            await client.stream("gpt-4", "hello").answer()


async def test_a_call_ends_at_its_deadline_and_stops_the_server(client: Any, service: Service) -> None:
    service.script = [asyncio.Event()]
    with pytest.raises(DeadlineExceededError) as caught:
        await client.chat("gpt-4", "hello", timeout=0.2)
    assert caught.value.code == "deadline_exceeded"
    assert (await service.ended()).cancelled


async def test_a_message_over_the_limit_is_too_large(client: Any, service: Service) -> None:
    """gRPC refuses it before it leaves; it is no rate limit."""
    service.script = [ChatResponse()]
    with pytest.raises(BadRequestError) as caught:
        await client.chat("gpt-4", "x" * (65 * 1024 * 1024))
    assert caught.value.http_status == 413
    assert service.calls == []


@pytest.mark.parametrize("option", [{"request_id": "r\n1"}, {"traceparent": "ü"}])
async def test_what_cannot_be_metadata_is_refused_by_name(client: Any, option: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        await client.chat("gpt-4", "hello", **option)


async def test_a_key_with_a_line_break_is_refused_and_not_shown(dial: Dial, target: str) -> None:
    """As when it was read from a file with the file's last line break."""
    with pytest.raises(ValueError, match="api_key") as caught:
        async with dial(target, api_key="sk-secret\n"):
            pass
    assert "sk-secret" not in str(caught.value)


def test_errors_can_be_pickled() -> None:
    """Pools of processes send them that way."""
    context = CallContext("r1")
    context.receipt = RECEIPT
    error = api_error(unknown_model("x"), context)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is NotFoundError
    assert str(copy) == str(error)
    assert (copy.code, copy.request_id, copy.receipt) == (error.code, "r1", RECEIPT)
