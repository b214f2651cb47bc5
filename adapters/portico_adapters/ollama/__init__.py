"""Ollama's own API: /api/chat, /api/generate, /api/embed, /api/tags and /api/show.

Its OpenAI surface (/v1) would need no adapter of its own, but it has no place for num_ctx and keep_alive,
and drops what it cannot do without a word.

The translation is pure and stands beside this file: chat_request and chat_answer, text, embeddings, models.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import ClassVar

from portico.adapter import CompletionCall, EmbeddingCall, Limits, UpstreamCall
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._asking import Asking
from portico_adapters._continuing import begun
from portico_adapters._fetching import Fetching
from portico_adapters._ndjson import NdjsonParser
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.ollama.chat_answer import ChatStream, completion_of
from portico_adapters.ollama.chat_request import chat_body
from portico_adapters.ollama.embeddings import embed_body, embeddings_of
from portico_adapters.ollama.errors import error_of
from portico_adapters.ollama.models import Shown, Tag, model_of, show_body, shown_in, tags_of
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.ollama.text import TextStream, text_body, text_of


class OllamaAdapter:
    """Speaks POST /api/chat, /api/generate, /api/embed and /api/show, and GET /api/tags.

    The backend sees the gateway's key, ``x-request-id`` and ``traceparent``; of the caller's headers those
    alone that the settings name, and the caller's key in place of the gateway's where they say so.
    """

    Settings: ClassVar[type[OllamaSettings]] = OllamaSettings

    def __init__(self, _name: str, settings: OllamaSettings, limits: Limits) -> None:
        headers = {"authorization": f"Bearer {settings.api_key.reveal()}"} if settings.api_key else {}
        read_error = partial(error_of, callers_key=settings.callers_key)
        self._client = UpstreamClient(settings.url, settings, limits, read_error, headers=headers)
        self._fetching = Fetching.by(settings, types=("image_url",))
        self._asking: Asking[Tag, Shown] = Asking()
        self._settings = settings
        self._limits = limits
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        call = await self._fetching.inlined(call)
        body = chat_body(call, self._settings, stream=False)
        answered, headers = await self._client.answer("/api/chat", call, body)
        return ChatResponse(completion=completion_of(answered, call), headers=headers)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        call = await self._fetching.inlined(call)
        body = chat_body(call, self._settings, stream=True)
        translation = Translation(StreamResponse, self._lines(), ChatStream(call))
        async with aclosing(self._client.stream("/api/chat", call, body, translation)) as messages:
            async for message in messages:
                yield message

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        body = text_body(call, self._settings, stream=False)
        answered, headers = await self._client.answer("/api/generate", call, body)
        return CompleteResponse(completion=text_of(answered, call), headers=headers)

    def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        body = text_body(call, self._settings, stream=True)
        translation = Translation(StreamCompleteResponse, self._lines(), TextStream(call))
        return self._client.stream("/api/generate", call, body, translation)

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        body = embed_body(call, self._settings)
        answered, headers = await self._client.answer("/api/embed", call, body)
        return EmbedResponse(embeddings=embeddings_of(answered, call), headers=headers)

    def continued(
        self, params: ChatCompletionParams, _model: str, text: str, /
    ) -> ChatCompletionParams | None:
        # The server goes on with a last message of the assistant: github.com/ollama/ollama/issues/6778.
        return begun(params, text)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        tags = tags_of(await self._client.get("/api/tags", headers))

        async def show(tag: Tag) -> Shown:
            return shown_in(await self._client.ask("/api/show", headers, show_body(tag.name)))

        shown = await self._asking.about(tags, show)
        num_ctx = self._settings.num_ctx
        return [model_of(tag, told, num_ctx) for tag, told in zip(tags, shown, strict=True)]

    async def aclose(self) -> None:
        await self._client.aclose()

    def _lines(self) -> NdjsonParser:
        return NdjsonParser(self._limits.answer_bytes)
