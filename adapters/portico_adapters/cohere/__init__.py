"""Cohere's API: POST /v2/chat, POST /v2/embed and GET /v1/models.

The translation is pure and stands beside this file: chat_request with messages, tools and reasoning;
chat_answer and chat_stream with answers and usage; embeddings; errors and rate_limits; models.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, Final

from portico.adapter import EmbeddingCall, Limits, UpstreamCall
from portico.errors import GatewayError
from portico.v1.gateway_pb2 import ChatResponse, EmbedResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._abilities import with_abilities
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.cohere.chat_answer import completion_of
from portico_adapters.cohere.chat_request import chat_body
from portico_adapters.cohere.chat_stream import ChatStream
from portico_adapters.cohere.embeddings import embed_body, embeddings_of
from portico_adapters.cohere.errors import error_of
from portico_adapters.cohere.models import models_of, page_path
from portico_adapters.cohere.rate_limits import READ, for_callers
from portico_adapters.cohere.settings import CohereSettings

_CHAT: Final = "/v2/chat"
_EMBED: Final = "/v2/embed"

#: A list of models that goes on after so many pages goes in a circle.
_MOST_PAGES: Final = 100


class CohereAdapter:
    """Speaks POST /v2/chat and /v2/embed, and GET /v1/models page by page."""

    Settings: ClassVar[type[CohereSettings]] = CohereSettings

    def __init__(self, _name: str, settings: CohereSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self.lists_by_caller = settings.lists_by_caller
        key = {"authorization": f"Bearer {settings.api_key.reveal()}"} if settings.api_key else {}
        self._client = UpstreamClient(
            settings.url, settings, limits, self._error_of, headers=key, for_callers=READ
        )

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        answer, headers = await self._client.answer(_CHAT, call, chat_body(call, stream=False))
        return ChatResponse(completion=completion_of(answer, call), headers=for_callers(headers))

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        events = ChatStream(call, callers_key=self._settings.callers_key)
        translation = Translation(StreamResponse, SseParser(self._limits.answer_bytes), events)
        body = chat_body(call, stream=True)
        async with aclosing(self._client.stream(_CHAT, call, body, translation)) as messages:
            async for message in messages:
                if message.headers:
                    told = for_callers(message.headers)
                    del message.headers[:]
                    message.headers.extend(told)
                yield message

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        answer, headers = await self._client.answer(_EMBED, call, embed_body(call, self._settings))
        return EmbedResponse(embeddings=embeddings_of(answer, call), headers=for_callers(headers))

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        models: list[Model] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            page, token = models_of(await self._client.get(page_path(token), headers))
            models += map(with_abilities, page)
            if token is None:
                break
        return models

    async def aclose(self) -> None:
        await self._client.aclose()

    def _error_of(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        return error_of(status, body, headers, callers_key=self._settings.callers_key)
