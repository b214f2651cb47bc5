"""Ollama's own API: /api/chat, /api/generate, /api/embed and /api/tags.

Its OpenAI surface (/v1) would need no adapter of its own, but it has no place for num_ctx and keep_alive,
and drops what it cannot do without a word.

The translation is pure and stands beside this file: chat_request and chat_answer, text, embeddings, models.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar, Final, TypeVar

from portico.adapter import CompletionCall, EmbeddingCall, Limits, P, Upstream, UpstreamCall
from portico.errors import upstream_failed
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._http import Answer, HttpClient
from portico_adapters._passing import beside
from portico_adapters.ollama.chat_answer import ChatStream, completion_of
from portico_adapters.ollama.chat_request import chat_body
from portico_adapters.ollama.embeddings import embed_body, embeddings_of
from portico_adapters.ollama.errors import error_of
from portico_adapters.ollama.models import models_of
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.ollama.stream import Translator
from portico_adapters.ollama.text import TextStream, text_body, text_of

R = TypeVar("R", bound=StreamResponse | StreamCompleteResponse)

# The backend's headers that concern the caller, by their beginnings: ollama.com and proxies have some.
_FOR_CALLERS: Final = ("x-ratelimit-", "retry-after")


class OllamaAdapter:
    """Speaks POST /api/chat, /api/generate and /api/embed, and GET /api/tags.

    The backend sees the gateway's key, ``x-request-id`` and ``traceparent``; of the caller's headers those
    alone that the settings name, and the caller's key in place of the gateway's where they say so.
    """

    Settings: ClassVar[type[OllamaSettings]] = OllamaSettings

    def __init__(self, _name: str, settings: OllamaSettings, limits: Limits) -> None:
        headers = {"user-agent": settings.agent}
        if settings.api_key:
            headers["authorization"] = f"Bearer {settings.api_key.reveal()}"
        self._http = HttpClient(settings.url, headers, limits)
        self._settings = settings
        self._limits = limits
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        body = chat_body(call, self._settings, stream=False)
        async with await self._post("/api/chat", body, call) as answer:
            completion = completion_of(await answer.read(), call)
            return ChatResponse(completion=completion, headers=_for_callers(answer))

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        body = chat_body(call, self._settings, stream=True)
        translator = Translator(StreamResponse, ChatStream(call), self._limits.answer_bytes)
        async with (
            await self._post("/api/chat", body, call) as answer,
            aclosing(_messages(answer, translator)) as messages,
        ):
            async for message in messages:
                yield message

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        body = text_body(call, self._settings, stream=False)
        async with await self._post("/api/generate", body, call) as answer:
            completion = text_of(await answer.read(), call)
            return CompleteResponse(completion=completion, headers=_for_callers(answer))

    async def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        body = text_body(call, self._settings, stream=True)
        translator = Translator(StreamCompleteResponse, TextStream(call), self._limits.answer_bytes)
        async with (
            await self._post("/api/generate", body, call) as answer,
            aclosing(_messages(answer, translator)) as messages,
        ):
            async for message in messages:
                yield message

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        body = embed_body(call, self._settings)
        async with await self._post("/api/embed", body, call) as answer:
            embeddings = embeddings_of(await answer.read(), call)
            return EmbedResponse(embeddings=embeddings, headers=_for_callers(answer))

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        passed = self._settings.passed(headers)
        async with await self._send("GET", "/api/tags", passed, b"", lambda: None) as answer:
            return models_of(await answer.read())

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: bytes, call: Upstream[P]) -> Answer:
        passed = self._settings.passed(call.headers)
        headers = {"content-type": "application/json", **passed, **beside(call)}
        return await self._send("POST", path, headers, body, call.alive)

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, alive: Callable[[], None]
    ) -> Answer:
        """Return an answer of success; raise for any other."""
        answer = await self._http.send(method, path, headers, body, alive=alive)
        if 200 <= answer.status < 300:
            return answer
        async with answer:
            if answer.status < 400:
                raise upstream_failed(
                    "The backend redirects, which the gateway does not follow.", f"status {answer.status}"
                )
            body = await answer.read_error()
            raise error_of(answer.status, body, answer.headers, callers_key=self._settings.callers_key)


async def _messages(answer: Answer, translator: Translator[R]) -> AsyncGenerator[R, None]:
    """Yield what each read brings, until the answer is whole or the backend ends it."""
    headers = _for_callers(answer)
    async for data in answer:
        for message in translator.feed(data):
            message.headers.extend(headers)
            headers = []
            yield message
        if translator.done:
            await answer.finish()
            return
    for message in translator.close():
        yield message


def _for_callers(answer: Answer) -> list[Header]:
    return [header for header in answer.headers if header.name.startswith(_FOR_CALLERS)]
