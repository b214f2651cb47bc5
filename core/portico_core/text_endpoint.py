"""Who completes texts: a backend's endpoint for them, or its chat where it has none.

An adapter without ``Completes`` has none. One whose dialect has the endpoint may stand before a server
that has not: the server's own 404 for the path says so. Chat then serves the same attempt, and the
backend's calls of the next hour at once.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeAlias

from portico.adapter import Adapter, Completes, Upstream
from portico.errors import UNKNOWN_URL, GatewayError
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.gateway_pb2 import CompleteResponse, StreamCompleteResponse
from portico_core import text_over_chat
from portico_core.telemetry import line

Complete: TypeAlias = Callable[[Upstream[Any]], Awaitable[CompleteResponse]]
StreamComplete: TypeAlias = Callable[[Upstream[Any]], AsyncGenerator[StreamCompleteResponse, None]]

#: Seconds after which a backend is asked anew: it may have been replaced by a newer one.
REMEMBERED: Final = 3600.0

_log: Final = logging.getLogger("portico.texts")


class TextEndpoints:
    """The endpoints for texts of one gateway's backends, and which of them were found missing."""

    def __init__(self) -> None:
        #: By the adapter's identity, which lives as long as its gateway: ``monotonic()`` of the finding.
        self._missing: dict[int, float] = {}

    def complete(self, adapter: Adapter, params: TextCompletionParams) -> Complete:
        """Return what answers; raise 400 for what the chat that must step in cannot do."""
        if not isinstance(adapter, Completes) or self._lacks(adapter):
            return self._by_chat(adapter, text_over_chat.asked(params))

        async def complete(call: Upstream[Any]) -> CompleteResponse:
            try:
                return await adapter.complete(call)
            except GatewayError as error:
                if not _no_such_path(error):
                    raise
                self._learn(adapter, call)
            return await self._by_chat(adapter, text_over_chat.asked(params))(call)

        return complete

    def stream(self, adapter: Adapter, params: TextCompletionParams) -> StreamComplete:
        """``complete`` for a stream."""
        if not isinstance(adapter, Completes) or self._lacks(adapter):
            return self._streamed_by_chat(adapter, text_over_chat.asked(params))

        async def stream(call: Upstream[Any]) -> AsyncGenerator[StreamCompleteResponse, None]:
            begun = False
            try:
                async with aclosing(adapter.stream_complete(call)) as responses:
                    async for response in responses:
                        begun = True
                        yield response
                return
            except GatewayError as error:
                if begun or not _no_such_path(error):
                    raise
                self._learn(adapter, call)
            by_chat = self._streamed_by_chat(adapter, text_over_chat.asked(params))
            async with aclosing(by_chat(call)) as responses:
                async for response in responses:
                    yield response

        return stream

    def _by_chat(self, adapter: Adapter, asked: ChatCompletionParams) -> Complete:
        async def complete(call: Upstream[Any]) -> CompleteResponse:
            try:
                response = await adapter.chat(replace(call, params=asked))
            except GatewayError as error:
                self._doubt(adapter, error)
                raise
            completion = text_over_chat.answered(response.completion)
            return CompleteResponse(completion=completion, headers=response.headers)

        return complete

    def _streamed_by_chat(self, adapter: Adapter, asked: ChatCompletionParams) -> StreamComplete:
        async def stream(call: Upstream[Any]) -> AsyncGenerator[StreamCompleteResponse, None]:
            try:
                async with aclosing(adapter.stream(replace(call, params=asked))) as responses:
                    async for response in responses:
                        yield text_over_chat.streamed(response)
            except GatewayError as error:
                self._doubt(adapter, error)
                raise

        return stream

    def _lacks(self, adapter: Adapter) -> bool:
        found = self._missing.get(id(adapter))
        return found is not None and monotonic() < found + REMEMBERED

    def _learn(self, adapter: Adapter, call: Upstream[Any]) -> None:
        self._missing[id(adapter)] = monotonic()
        where = line(request_id=call.request_id, backend=call.backend)
        _log.info("backend has no completions endpoint, its chat serves them %s", where)

    def _doubt(self, adapter: Adapter, error: GatewayError) -> None:
        """Forget a finding where chat is missing too: what is wrong is the backend's URL."""
        if _no_such_path(error):
            self._missing.pop(id(adapter), None)


def _no_such_path(error: GatewayError) -> bool:
    """Tell a server without the endpoint from one without the model."""
    return error.upstream_status == 405 or (error.upstream_status == 404 and error.code == UNKNOWN_URL)
