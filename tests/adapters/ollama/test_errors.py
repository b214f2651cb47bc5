"""Ollama's error answers, by the table in."""

import json

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.v1.headers_pb2 import Header
from portico_adapters.ollama.errors import error_of

TABLE = {
    "no such model": (404, "model 'm' not found", "model_not_found", "model"),
    "no tools": (400, "registry.ollama.ai/library/m does not support tools", None, "tools"),
    "no thinking": (400, '"m" does not support thinking', None, "reasoning_effort"),
    "no filling in": (400, "registry.ollama.ai/library/m does not support insert", None, "suffix"),
    "no chat": (400, '"m" does not support chat', None, "model"),
    "no images": (400, "this model does not support image input", None, "messages"),
    "too long a prompt": (
        400,
        "the prompt is longer than the context length currently available to the model",
        "context_length_exceeded",
        None,
    ),
    "too long a text": (400, "the input length exceeds the context length", "context_length_exceeded", None),
    "too long for the engine": (
        400,
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "context_length_exceeded",
        None,
    ),
    "anything else": (400, "invalid option provided", None, None),
}


def told(status: int, message: str, *headers: Header) -> GatewayError:
    return error_of(status, json.dumps({"error": message}).encode(), headers, callers_key=False)


@pytest.mark.parametrize(("status", "message", "code", "param"), TABLE.values(), ids=TABLE)
def test_the_callers_mistakes_keep_ollamas_words(
    status: int, message: str, code: str | None, param: str | None
) -> None:
    """And name the member that asked for it, where the words tell."""
    error = told(status, message)
    assert error.error_class is ErrorClass.CALLER
    assert (error.http_status, error.message, error.code, error.param) == (status, message, code, param)


def test_a_full_queue_is_a_matter_of_capacity() -> None:
    """Another backend may have room; Retry-After comes through."""
    error = told(503, "server busy, please try again.", Header(name="retry-after", value=b"3"))
    assert (error.error_class, error.http_status, error.retry_after) == (ErrorClass.CAPACITY, 503, 3)


@pytest.mark.parametrize("status", [500, 502])
def test_the_words_of_a_failure_stay_in_the_log(status: int) -> None:
    """They name paths, graphics cards and hosts."""
    error = told(status, "CUDA error: /root/.ollama/x does not support tools")
    assert (error.error_class, error.http_status, error.param) == (ErrorClass.UPSTREAM, 502, None)
    assert "CUDA" in error.detail
    assert "CUDA" not in error.message


UNAUTHORIZED = b'{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=x"}'


def test_a_refused_key_is_ours() -> None:
    """ollama.com and proxies want one; its words may name the account."""
    error = error_of(401, UNAUTHORIZED, (), callers_key=False)
    assert (error.error_class, error.http_status) == (ErrorClass.CREDENTIAL, 502)
    assert "unauthorized" not in error.message


def test_a_refused_key_of_the_callers_own_is_the_callers() -> None:
    """Where the settings pass it on."""
    error = error_of(401, UNAUTHORIZED, (), callers_key=True)
    assert (error.error_class, error.http_status) == (ErrorClass.CREDENTIAL, 401)
    assert error.message == "unauthorized"
