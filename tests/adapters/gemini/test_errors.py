"""Google's errors: what a caller learns of them, and when to come back."""

import json
from typing import Any

import pytest

from portico_adapters.gemini.errors import error_of
from tests.adapters.gemini.fixtures import WIRE


@pytest.mark.parametrize("file", sorted(WIRE.glob("errors/*.json")), ids=lambda file: file.stem)
def test_an_error_becomes_openais(file: Any) -> None:
    """By what it means, whatever its status."""
    case = json.loads(file.read_bytes())
    status = case["gemini"]["status"]
    error = error_of(status, json.dumps(case["gemini"]["body"]).encode(), (), callers_key=False)
    found = {
        "class": error.error_class.name,
        "status": error.http_status,
        "type": error.type,
        "code": error.code,
        "param": error.param,
        "message": error.message,
        "retry_after": error.retry_after,
    }
    assert found == case["openai"]
    assert error.upstream_status == status


def test_a_callers_own_bad_key_is_the_callers_matter() -> None:
    """401, with the API's words, although the API says 400."""
    body = json.loads((WIRE / "errors" / "bad_key.json").read_bytes())["gemini"]["body"]
    error = error_of(400, json.dumps(body).encode(), (), callers_key=True)
    assert (error.http_status, error.code) == (401, "invalid_api_key")
    assert error.message == "API key not valid. Please pass a valid API key."


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[{}]", b"[4]", b'{"error":null}', b'{"error":"x"}']
)
def test_any_body_will_do(body: bytes) -> None:
    """Such as the page of a proxy."""
    assert error_of(503, body, (), callers_key=False).code == "overloaded"
