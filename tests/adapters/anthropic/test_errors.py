"""Anthropic's errors: what a caller learns of them, and when to come back."""

import json
from typing import Any

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.v1.headers_pb2 import Header
from portico_adapters.anthropic.errors import error_in, error_of
from portico_adapters.anthropic.rate_limits import for_callers, seconds_to_reset
from tests.adapters.anthropic.fixtures import WIRE

ERRORS = sorted(WIRE.glob("errors/*.json"))

#: 2026-01-01T00:00:00Z.
NOW = 1767225600.0


def read(status: int, body: Any, headers: dict[str, str] | None = None, *, ours: bool = True) -> GatewayError:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of(status, encoded, given(headers or {}), callers_key=not ours)


def given(headers: dict[str, str]) -> list[Header]:
    return [Header(name=name, value=value.encode()) for name, value in headers.items()]


def told(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize("file", ERRORS, ids=lambda file: file.stem)
def test_an_error_becomes_openais(file: Any) -> None:
    """Status, type, code, words, and when to come back."""
    case = json.loads(file.read_bytes())
    theirs = case["anthropic"]
    error = read(theirs["status"], theirs["body"], theirs["headers"])
    found = {"status": error.http_status} | {
        name: getattr(error, name) for name in ("type", "code", "param", "message", "retry_after")
    }
    assert found == case["openai"]
    assert error.upstream_status == theirs["status"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_of_the_caller_stays_the_callers_matter(status: int) -> None:
    """With the API's own words."""
    error = read(status, told("invalid x-api-key", "authentication_error"), ours=False)
    assert (error.error_class, error.http_status) == (ErrorClass.CREDENTIAL, status)
    assert error.message == "invalid x-api-key"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"[]",
        b'{"error":"busy"}',
        b'{"error":{"type":4}}',
        b'{"type":"error"}',
    ],
)
def test_any_body_will_do(body: bytes) -> None:
    """Proxies answer as they like."""
    error = read(503, body, {"retry-after-ms": "1500"})
    assert (error.error_class, error.http_status) == (ErrorClass.CAPACITY, 503)
    assert error.retry_after == 1.5
    assert error_in(body, callers_key=False).http_status == 502


def test_a_long_prompt_is_known_in_other_servers_words() -> None:
    """Those of the dialect that are not Anthropic."""
    error = read(400, told("the request exceeds the available context size", "exceed_context_size_error"))
    assert error.code == "context_length_exceeded"


def test_rate_limits_are_told_as_openai_tells_them() -> None:
    """Times of reset become durations; what has no equal is not sent on."""
    headers = given(
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:06:01Z",
            "anthropic-ratelimit-tokens-limit": "30000",
            "anthropic-ratelimit-tokens-reset": "2025-12-31T00:00:00Z",
            "anthropic-ratelimit-input-tokens-limit": "20000",
            "anthropic-ratelimit-unified-status": "allowed",
            "retry-after": "12",
            "request-id": "req_1",
        }
    )
    assert {header.name: header.value for header in for_callers(headers, NOW)} == {
        "x-ratelimit-limit-requests": b"50",
        "x-ratelimit-remaining-requests": b"0",
        "x-ratelimit-reset-requests": b"6m1s",
        "x-ratelimit-limit-tokens": b"30000",
        "x-ratelimit-reset-tokens": b"0ms",
        "retry-after": b"12",
    }


@pytest.mark.parametrize(
    ("reset", "duration"),
    [
        ("2026-01-01T00:00:00.120Z", b"120ms"),
        ("2026-01-01T00:00:01Z", b"1s"),
        ("2026-01-01T01:00:00+00:00", b"1h0m0s"),
        ("soon", None),
    ],
)
def test_resets_are_durations(reset: str, duration: bytes | None) -> None:
    """As OpenAI writes them; what is no time is left out."""
    found = for_callers(given({"anthropic-ratelimit-tokens-reset": reset}), NOW)
    assert [header.value for header in found] == ([duration] if duration else [])


def test_a_limit_that_is_used_up_tells_when_to_come_back() -> None:
    """The last one of several; others do not count."""
    headers = given(
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:05Z",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:09Z",
            "anthropic-ratelimit-output-tokens-remaining": "7",
            "anthropic-ratelimit-output-tokens-reset": "2026-01-01T00:01:00Z",
        }
    )
    assert seconds_to_reset(headers, NOW) == 9
    assert seconds_to_reset(given({"retry-after": "1"}), NOW) is None
    past = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2020-01-01T00:00:00Z",
    }
    assert read(429, told("Too fast", "rate_limit_error"), past).retry_after == 0
