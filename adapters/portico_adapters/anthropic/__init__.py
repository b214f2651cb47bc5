"""Anthropic's Messages API: POST /v1/messages and GET /v1/models.

The translation is pure and stands beside this file: chat_request with messages, history, parts, tools and
reasoning; chat_answer and chat_stream with blocks and usage; errors and rate_limits; models.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar, Final

from portico.adapter import Limits, UpstreamCall
from portico.errors import GatewayError
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._abilities import with_abilities
from portico_adapters._continuing import begun
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.anthropic.abilities import abilities_of
from portico_adapters.anthropic.chat_answer import completion_of
from portico_adapters.anthropic.chat_request import chat_body
from portico_adapters.anthropic.chat_stream import ChatStream
from portico_adapters.anthropic.credentials import as_api_key
from portico_adapters.anthropic.errors import error_of
from portico_adapters.anthropic.models import models_of, page_path
from portico_adapters.anthropic.rate_limits import READ, for_callers
from portico_adapters.anthropic.reasoning import thinks
from portico_adapters.anthropic.settings import AnthropicSettings

_PATH: Final = "/v1/messages"

#: A list of models that goes on after so many pages goes in a circle.
_MOST_PAGES: Final = 100


class AnthropicAdapter:
    """Speaks POST /v1/messages, and GET /v1/models page by page."""

    Settings: ClassVar[type[AnthropicSettings]] = AnthropicSettings

    def __init__(self, _name: str, settings: AnthropicSettings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self.lists_by_caller = settings.lists_by_caller
        headers = {**settings.headers, **settings.key}
        self._client = UpstreamClient(
            settings.url, settings, limits, self._error_of, headers=headers, for_callers=READ
        )

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        call = self._with_key(call)
        body = chat_body(call, self._settings, stream=False)
        answer, headers = await self._client.answer(_PATH, call, body)
        completion = completion_of(answer, call, callers_key=self._settings.callers_key)
        return ChatResponse(completion=completion, headers=for_callers(headers, time.time()))

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        call = self._with_key(call)
        body = chat_body(call, self._settings, stream=True)
        events = ChatStream(call, callers_key=self._settings.callers_key)
        translation = Translation(StreamResponse, SseParser(self._limits.answer_bytes), events)
        async with aclosing(self._client.stream(_PATH, call, body, translation)) as messages:
            async for message in messages:
                if message.headers:
                    told = for_callers(message.headers, time.time())
                    del message.headers[:]
                    message.headers.extend(told)
                yield message

    def continued(
        self, params: ChatCompletionParams, model: str, text: str, /
    ) -> ChatCompletionParams | None:
        # The API refuses a text that ends in a blank. Who reads this text may have thought before it.
        able = abilities_of(model).continues and not text[-1:].isspace()
        return None if not able or thinks(params) else begun(params, text)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        callers = as_api_key(headers) if self._settings.callers_key else headers
        models: list[Model] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page, following = models_of(await self._client.get(page_path(after), callers))
            if after is not None and following == after:
                break
            models += map(with_abilities, page)
            if following is None:
                break
            after = following
        return models

    async def aclose(self) -> None:
        await self._client.aclose()

    def _with_key(self, call: UpstreamCall) -> UpstreamCall:
        return replace(call, headers=as_api_key(call.headers)) if self._settings.callers_key else call

    def _error_of(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        return error_of(status, body, headers, callers_key=self._settings.callers_key)
