"""What changes nothing in an answer: no dialect refuses it, and the caller learns where it is left out."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from portico.adapter import EmbeddingCall, UpstreamCall
from portico.openai.requests import parse_chat, parse_embed
from portico.secret import Secret
from portico_adapters.anthropic.chat_request import chat_body as anthropic_body
from portico_adapters.anthropic.settings import AnthropicSettings
from portico_adapters.bedrock.chat_request import chat_body as bedrock_body
from portico_adapters.bedrock.embeddings import embed_bodies as bedrock_embed
from portico_adapters.cohere.chat_request import chat_body as cohere_body
from portico_adapters.cohere.embeddings import embed_body as cohere_embed
from portico_adapters.cohere.settings import CohereSettings
from portico_adapters.gemini.chat_request import chat_body as gemini_body
from portico_adapters.gemini.embeddings import embed_body as gemini_embed
from portico_adapters.ollama.chat_request import chat_body as ollama_body
from portico_adapters.ollama.embeddings import embed_body as ollama_embed
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.vertex.embeddings import embed_body as vertex_embed

_ASKED: Final = {
    "model": "gpt-4",
    "messages": [{"role": "user", "content": "Hi", "name": "Ann"}],
    "user": "u",
    "safety_identifier": "s",
    "metadata": {"team": "a"},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "store": False,
}
_EVERYTHING: Final = {
    "user",
    "safety_identifier",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "messages[].name",
}
_KEY: Final = Secret("k")
_OLLAMA: Final = OllamaSettings(url="http://127.0.0.1:1")

CHATS: Final[dict[str, tuple[Callable[[UpstreamCall], bytes], set[str]]]] = {
    "anthropic": (
        lambda call: anthropic_body(call, AnthropicSettings(api_key=_KEY), stream=False),
        {"user", "safety_identifier"},
    ),
    "bedrock": (bedrock_body, {"metadata"}),
    "cohere": (lambda call: cohere_body(call, stream=False), set()),
    "gemini": (gemini_body, set()),
    "ollama": (lambda call: ollama_body(call, _OLLAMA, stream=False), set()),
}
EMBEDDINGS: Final[dict[str, Callable[[EmbeddingCall], Any]]] = {
    "bedrock": bedrock_embed,
    "cohere": lambda call: cohere_embed(call, CohereSettings(api_key=_KEY)),
    "gemini": lambda call: gemini_embed(call, "models/m"),
    "ollama": lambda call: ollama_embed(call, _OLLAMA),
    "vertex": vertex_embed,
}


@pytest.mark.parametrize("dialect", CHATS)
def test_a_chats_advice_is_named_where_it_is_left_out(dialect: str) -> None:
    """Nobody has to allow that."""
    body_of, heeded = CHATS[dialect]
    params, _ = parse_chat(json.dumps(_ASKED).encode())
    call = UpstreamCall(params, "m")
    body = json.loads(body_of(call))
    assert set(call.dropped) == _EVERYTHING - heeded
    assert not body.keys() & {
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "store",
    }


@pytest.mark.parametrize("dialect", EMBEDDINGS)
def test_the_user_of_embeddings_is_named(dialect: str) -> None:
    """No dialect but OpenAI's has a place for one."""
    params = parse_embed(b'{"model": "e", "input": "a", "user": "u"}')
    call = EmbeddingCall(params, "amazon.titan-embed-text-v2:0")
    EMBEDDINGS[dialect](call)
    assert call.dropped == ["user"]
