"""Gemini's own API: generateContent, streamGenerateContent, batchEmbedContents and the list of models.

Its OpenAI surface would need no adapter of its own, but it has no place for most of what the models can do.

The translation is pure and stands beside this file: chat_request and what it imports make bodies, chat_answer
and chat_stream read what comes back, embeddings and models do both. ``vertex`` shares it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, Final
from urllib.parse import quote

from portico.adapter import EmbeddingCall, Limits, UpstreamCall
from portico.errors import GatewayError
from portico.v1.gateway_pb2 import ChatResponse, EmbedResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._abilities import with_abilities
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.gemini.chat_answer import completion_of
from portico_adapters.gemini.chat_request import chat_body
from portico_adapters.gemini.chat_stream import ChatStream
from portico_adapters.gemini.embeddings import embed_body, embeddings_of
from portico_adapters.gemini.errors import error_of
from portico_adapters.gemini.framing import StreamFraming
from portico_adapters.gemini.models import models_of, page_query
from portico_adapters.gemini.settings import GeminiSettings

#: More pages than any list has: a server that always names a next one is not followed for ever.
_PAGES: Final = 100

_KINDS: Final = ("models", "tunedModels")


class GeminiAdapter:
    """Speaks models/{model}:generateContent and its like."""

    Settings: ClassVar[type[GeminiSettings]] = GeminiSettings

    def __init__(self, _name: str, settings: GeminiSettings, limits: Limits) -> None:
        self._client = UpstreamClient(settings.url, settings, limits, self._error, headers=settings.key)
        self._root = f"/{settings.version}"
        self._limits = limits
        self._callers_key = settings.callers_key
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        path = f"{self._root}/{resource(call.model)}:generateContent"
        body, headers = await self._client.answer(path, call, chat_body(call))
        completion = completion_of(body, call, callers_key=self._callers_key)
        return ChatResponse(completion=completion, headers=headers)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        path = f"{self._root}/{resource(call.model)}:streamGenerateContent?alt=sse"
        framing = StreamFraming(self._limits.answer_bytes)
        events = ChatStream(call, callers_key=self._callers_key)
        translation = Translation(StreamResponse, framing, events)
        async with aclosing(self._client.stream(path, call, chat_body(call), translation)) as messages:
            async for message in messages:
                yield message

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        name = resource(call.model)
        path = f"{self._root}/{name}:batchEmbedContents"
        body, headers = await self._client.answer(path, call, embed_body(call, name))
        embeddings = embeddings_of(body, call, callers_key=self._callers_key)
        return EmbedResponse(embeddings=embeddings, headers=headers)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        models: list[Model] = []
        token: str | None = None
        for _ in range(_PAGES):
            body = await self._client.get(f"{self._root}/models{page_query(token)}", headers)
            page, following = models_of(body, callers_key=self._callers_key)
            models += map(with_abilities, page)
            if following in (None, token):
                break
            token = following
        return models

    async def aclose(self) -> None:
        await self._client.aclose()

    def _error(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        return error_of(status, body, headers, callers_key=self._callers_key)


def resource(model: str) -> str:
    """Return a model's name as it stands in a path."""
    kind, slash, name = model.partition("/")
    if not slash or kind not in _KINDS:
        kind, name = "models", model
    return f"{kind}/{quote(name, safe='')}"
