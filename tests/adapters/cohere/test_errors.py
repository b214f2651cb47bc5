"""Cohere's errors: what a caller learns of them, and when to come back."""

import json
from typing import Any

import pytest

from portico.errors import ErrorClass
from portico.v1.headers_pb2 import Header
from portico_adapters.cohere.errors import error_of
from tests.adapters.cohere.fixtures import WIRE

ERRORS = sorted(WIRE.glob("errors/*.json"))


def headers_of(told: dict[str, str]) -> list[Header]:
    return [Header(name=name, value=value.encode()) for name, value in told.items()]


@pytest.mark.parametrize("file", ERRORS, ids=lambda file: file.stem)
def test_an_error_becomes_openais(file: Any) -> None:
    """Status, type, code, words, and when to come back."""
    case = json.loads(file.read_bytes())
    theirs = case["cohere"]
    body = json.dumps(theirs["body"]).encode()
    error = error_of(theirs["status"], body, headers_of(theirs["headers"]), callers_key=False)
    names = ("type", "code", "param", "message", "retry_after")
    assert {"status": error.http_status} | {name: getattr(error, name) for name in names} == case["openai"]
    assert error.upstream_status == theirs["status"]


def test_limits_of_a_minute_come_in_openais_words() -> None:
    """A month's have none."""
    told = {"x-trial-endpoint-call-limit": "20", "x-endpoint-monthly-call-limit": "1000", "num_chars": "5"}
    error = error_of(429, b'{"message":"slow down"}', headers_of(told), callers_key=False)
    assert error.headers == [Header(name="x-ratelimit-limit-requests", value=b"20")]


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_of_the_caller_stays_the_callers_matter(status: int) -> None:
    """With the API's own words."""
    error = error_of(status, b'{"message":"invalid api token"}', (), callers_key=True)
    assert (error.error_class, error.http_status) == (ErrorClass.CREDENTIAL, status)
    assert error.message == "invalid api token"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b'{"message":{}}', b"\xff"])
def test_a_body_of_any_kind_is_an_error(body: bytes) -> None:
    """As proxies send them."""
    assert error_of(502, body, (), callers_key=False).error_class is ErrorClass.UPSTREAM
