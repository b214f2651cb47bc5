"""What goes wrong, and what the caller reads of it."""

import logging
from typing import Any

import pytest

from portico.errors import (
    QUOTA,
    RATE_LIMIT,
    ErrorClass,
    GatewayError,
    invalid_request,
    unavailable,
    unknown_model,
    upstream_failed,
)
from portico.testing.gateway import FakeGateway
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Attempt, Receipt
from tests.facade.clients import Facade
from tests.facade.messages import ask

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"\xff\xfe", None),
        (b'"text"', None),
        (b"[]", None),
        ({}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": 1, "messages": HELLO}, "model"),
        ({"model": "m", "messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"model": "m", "messages": HELLO, "temperature": "hot"}, "temperature"),
        ({"model": "m", "messages": HELLO, "stream": "yes"}, "stream"),
    ],
)
async def test_a_body_that_is_no_request_is_400_and_names_the_member(
    portico: Facade, gateway: FakeGateway, body: Any, param: str | None
) -> None:
    """Nothing of it reaches the gateway."""
    answer = await portico.ask("POST", CHAT, body)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param
    assert gateway.calls == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        unknown_model("gpt-9"),
        invalid_request("Too hot.", "temperature", "out_of_range"),
        upstream_failed("The backend broke off.", "10.0.0.7 said ECONNRESET"),
        GatewayError(ErrorClass.CAPACITY, 529, "Overloaded.", "server_error", "overloaded"),
    ],
    ids=lambda error: str(error.http_status),
)
async def test_an_error_of_the_gateway_before_the_first_message_is_an_http_status(
    portico: Facade, gateway: FakeGateway, error: GatewayError, stream: bool
) -> None:
    """Streamed or not: status, message, type, param and code; what is for the log stays there."""
    gateway.on_chat, gateway.on_stream = [error], [error]
    gateway.receipt = Receipt(attempts=[Attempt()] * 3)
    answer = await portico.ask("POST", CHAT, ask(stream=stream))
    assert answer.status == error.http_status
    assert answer.error == {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    assert b"10.0.0.7" not in answer.body
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-portico-attempts"] == "3"
    assert "openai-processing-ms" in answer.headers


async def test_the_log_has_what_the_caller_must_not_read(
    portico: Facade, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """With the request id, so that the two can be put together."""
    gateway.on_chat = [upstream_failed("The backend broke off.", "10.0.0.7 said ECONNRESET")]
    answer = await portico.ask("POST", CHAT, ask())
    [record] = [record for record in caplog.records if "10.0.0.7" in record.getMessage()]
    assert answer.headers["x-request-id"] in record.getMessage()


async def test_a_rate_limit_says_when_to_come_back(portico: Facade, gateway: FakeGateway) -> None:
    """Retry-After in whole seconds, rounded up; retry-after-ms exactly; the backend's limits."""
    limits = [Header(name="x-ratelimit-remaining-tokens", value=b"0")]
    gateway.on_chat = [
        GatewayError(
            ErrorClass.CAPACITY, 429, "Slow down.", RATE_LIMIT, "rate_limit_exceeded", None, 1.25, limits
        )
    ]
    answer = await portico.ask("POST", CHAT, ask())
    assert answer.status == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["retry-after-ms"] == "1250"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "0"
    assert "x-should-retry" not in answer.headers


async def test_a_used_up_quota_tells_the_sdk_not_to_retry(portico: Facade, gateway: FakeGateway) -> None:
    """x-should-retry: false."""
    gateway.on_chat = [GatewayError(ErrorClass.CAPACITY, 429, "Used up.", QUOTA, "insufficient_quota")]
    answer = await portico.ask("POST", CHAT, ask())
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fault_of_our_own_is_500_and_tells_nothing(
    portico: Facade, gateway: FakeGateway, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """The log has the traceback and the request id."""
    fault = ZeroDivisionError("secret-in-a-variable")
    gateway.on_chat, gateway.on_stream = [fault], [fault]
    answer = await portico.ask("POST", CHAT, ask(stream=stream))
    assert answer.status == 500
    assert answer.error["code"] == "internal_error"
    assert b"secret" not in answer.body
    assert b"Zero" not in answer.body
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert answer.headers["x-request-id"] in record.getMessage()
    assert record.exc_info is not None


async def test_a_core_that_is_away_is_503(portico: Facade, gateway: FakeGateway) -> None:
    """As the remote gateway tells it."""
    gateway.on_chat = [unavailable("The gateway's routing core cannot be reached. Try again shortly.")]
    answer = await portico.ask("POST", CHAT, ask())
    assert answer.status == 503
    assert answer.error["code"] == "gateway_unavailable"


@pytest.mark.parametrize("path", ["/", "/chat/completions", "/v1", "/v1/chat/completions/", "/v1/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_path_is_404_and_says_where_the_endpoints_are(
    portico: Facade, method: str, path: str
) -> None:
    """For whoever forgot /v1 in the base_url."""
    answer = await portico.ask(method, path, {})
    assert answer.status == 404
    assert answer.error["code"] == "unknown_url"
    assert f"{method} {path}." in answer.error["message"]
    assert "/v1/chat/completions" in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST, OPTIONS"),
        ("DELETE", CHAT, "POST, OPTIONS"),
        ("BREW", CHAT, "POST, OPTIONS"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/models/gpt-4", "GET, HEAD, OPTIONS"),
        ("PUT", "/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_405_and_says_what_is_allowed(
    portico: Facade, method: str, path: str, allowed: str
) -> None:
    """Methods that HTTP does not know are no exception."""
    answer = await portico.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.error["code"] == "method_not_supported"


@pytest.mark.parametrize("path", ["%ff", "%ed%a0%80", "\xff"])
async def test_a_path_that_is_not_utf_8_is_400(portico: Facade, path: str) -> None:
    """Model names are text."""
    answer = await portico.ask("GET", f"/v1/models/{path}")
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


async def test_a_key_that_grpc_could_not_carry_is_401(portico: Facade, gateway: FakeGateway) -> None:
    """gRPC metadata is ASCII."""
    answer = await portico.ask("POST", CHAT, ask(), authorization="Bearer schlüssel")
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert gateway.calls == []


async def test_headers_over_32_kib_are_431(portico: Facade, gateway: FakeGateway) -> None:
    """What the contract allows; all of them together count."""
    headers = {f"x_{number}": "v" * 1024 for number in range(33)}
    answer = await portico.ask("POST", CHAT, ask(), **headers)
    assert answer.status == 431
    assert answer.error["code"] == "headers_too_large"
    assert gateway.calls == []
    headers.popitem()
    headers.popitem()
    assert (await portico.ask("POST", CHAT, ask(), **headers)).status == 200
