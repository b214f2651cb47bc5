"""The endpoints whose requests the dialect reads and writes, for tests that hold for each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from portico.openai import requests
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.embeddings_pb2 import EmbeddingParams
from tests.proto.openai import strategies


@dataclass(frozen=True)
class Endpoint:
    """One of them."""

    #: How its path ends.
    path: str
    #: The message of what is asked for.
    params: Any
    #: Requests that must be taken.
    requests: strategies.JSON
    parse: Callable[[bytes], tuple[Any, bool]]
    #: Writes parameters for a model, streamed or not.
    render: Callable[[Any, str, bool], bytes]
    streams: bool = True


CHAT = Endpoint(
    "/chat/completions",
    ChatCompletionParams,
    strategies.requests,
    requests.parse_chat,
    lambda params, model, stream: requests.render_chat(params, model=model, stream=stream),
)
TEXT = Endpoint(
    "/completions",
    TextCompletionParams,
    strategies.text_requests,
    requests.parse_complete,
    lambda params, model, stream: requests.render_complete(params, model=model, stream=stream),
)
EMBEDDINGS = Endpoint(
    "/embeddings",
    EmbeddingParams,
    strategies.embedding_requests,
    lambda body: (requests.parse_embed(body), False),
    lambda params, model, _: requests.render_embed(params, model=model),
    streams=False,
)
ENDPOINTS = (CHAT, TEXT, EMBEDDINGS)

for_each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)


def endpoint_of(path: str) -> Endpoint | None:
    """Return the endpoint of OpenAI's dialect that a recorded path is; None: it is another's."""
    plain = path.split("?", maxsplit=1)[0]
    if plain == "/api/embeddings":
        return None  # Ollama's own
    return next((endpoint for endpoint in ENDPOINTS if plain.endswith(endpoint.path)), None)
