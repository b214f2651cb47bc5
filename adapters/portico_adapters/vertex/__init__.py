"""Gemini on Vertex AI: the same requests and answers at other addresses, with an OAuth token.

Embeddings are older here than at the Gemini API: they come from ``predict``. The pure translation is that of
``gemini``; what differs stands beside this file.
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
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.gemini.chat_answer import completion_of
from portico_adapters.gemini.chat_request import chat_body
from portico_adapters.gemini.chat_stream import ChatStream
from portico_adapters.gemini.errors import error_of
from portico_adapters.gemini.framing import StreamFraming
from portico_adapters.gemini.models import page_query
from portico_adapters.vertex.embeddings import embed_body, embeddings_of
from portico_adapters.vertex.models import models_of
from portico_adapters.vertex.settings import VertexSettings
from portico_adapters.vertex.tokens import ServiceAccount

#: More pages than any list has: a server that always names a next one is not followed for ever.
_PAGES: Final = 100

#: The list of models is served by this version alone.
_LIST: Final = "/v1beta1/publishers/google/models"


class VertexAdapter:
    """Speaks publishers/google/models/{model}:generateContent and its like below a project and a location."""

    Settings: ClassVar[type[VertexSettings]] = VertexSettings

    def __init__(self, _name: str, settings: VertexSettings, limits: Limits) -> None:
        self._client = UpstreamClient(settings.root, settings, limits, self._error, headers=settings.key)
        self._account = ServiceAccount(settings.service_account) if settings.service_account else None
        self._project = settings.project
        self._root = f"/{settings.version}/projects/{settings.project}/locations/{settings.location}"
        self._limits = limits
        self._callers_key = settings.callers_key
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        path = f"{self._resource(call.model)}:generateContent"
        body, headers = await self._client.answer(path, call, chat_body(call), self._token())
        completion = completion_of(body, call, callers_key=self._callers_key)
        return ChatResponse(completion=completion, headers=headers)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        path = f"{self._resource(call.model)}:streamGenerateContent?alt=sse"
        framing = StreamFraming(self._limits.answer_bytes)
        events = ChatStream(call, callers_key=self._callers_key)
        translation = Translation(StreamResponse, framing, events)
        messages = self._client.stream(path, call, chat_body(call), translation, self._token())
        async with aclosing(messages):
            async for message in messages:
                yield message

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        path = f"{self._resource(call.model)}:predict"
        body, headers = await self._client.answer(path, call, embed_body(call), self._token())
        embeddings = embeddings_of(body, call, callers_key=self._callers_key)
        return EmbedResponse(embeddings=embeddings, headers=headers)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        models: list[Model] = []
        token: str | None = None
        # The list is nobody's: this project is to be charged with the call.
        charged = {"x-goog-user-project": self._project, **self._token()}
        for _ in range(_PAGES):
            body = await self._client.get(f"{_LIST}{page_query(token)}", headers, charged)
            page, following = models_of(body, callers_key=self._callers_key)
            models += page
            if following in (None, token):
                break
            token = following
        return models

    async def aclose(self) -> None:
        await self._client.aclose()

    def _error(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        return error_of(status, body, headers, callers_key=self._callers_key)

    def _token(self) -> dict[str, str]:
        """Return the header with the service account's token, if there is one."""
        return self._account.headers() if self._account else {}

    def _resource(self, model: str) -> str:
        """Return the path of a model of Google's, or of a tuned one: endpoints/{number}."""
        kind, slash, name = model.partition("/")
        if slash and kind == "endpoints":
            return f"{self._root}/endpoints/{quote(name, safe='')}"
        return f"{self._root}/publishers/google/models/{quote(model, safe='')}"
