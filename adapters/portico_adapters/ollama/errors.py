"""Ollama's error answers: ``{"error": "text"}`` with a status. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from portico.errors import GatewayError
from portico.openai.errors import parse_error
from portico.v1.headers_pb2 import Header

_TOO_LONG: Final = re.compile(r"(exceeds|longer than) .*context", re.IGNORECASE)
_CANNOT: Final = re.compile(r"does not support (\w+)")

# What a model cannot do, in Ollama's words -> the member of OpenAI's API that asks for it.
_ASKED_BY: Final[Mapping[str, str]] = {
    "tools": "tools",
    "thinking": "reasoning_effort",
    "insert": "suffix",
    "image": "messages",
    "vision": "messages",
    "chat": "model",
    "generate": "model",
    "embedding": "model",
    "embeddings": "model",
}


def error_of(status: int, body: bytes, headers: Sequence[Header], *, callers_key: bool) -> GatewayError:
    """Read an answer with HTTP ``status`` 400 or above. ``callers_key``: the server saw the caller's key."""
    error = parse_error(status, body, headers, callers_key=callers_key)
    if status == 404:
        error.param = "model"
    # Only the caller's own mistakes keep the server's words.
    elif cannot := _CANNOT.search(error.message):
        error.param = _ASKED_BY.get(cannot[1])
    elif _TOO_LONG.search(error.message):
        error.code = "context_length_exceeded"
    return error
