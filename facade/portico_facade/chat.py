"""POST /v1/chat/completions."""

import asyncio
import contextlib
import logging

from portico.errors import GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.errors import render_error_event
from portico.openai.requests import parse_chat
from portico.openai.responses import render_completion
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatRequest, ChatResponse, StreamRequest, StreamResponse
from portico_facade import headers
from portico_facade.handler import Handler, endpoint, log, shutting_down
from portico_facade.sse import EventStream


class ChatCompletions(Handler):
    """A chat completion, whole or as server-sent events."""

    methods = ("POST",)

    @endpoint
    async def post(self) -> None:
        """Answer ``{"model", "messages", "stream"?, …}``."""
        body = self.upload.body()
        self._log_content("asks", body)
        params, self.streamed = parse_chat(body)
        self.model = params.model
        await (self._stream(params) if self.streamed else self._whole(params))

    async def _whole(self, params: ChatCompletionParams) -> None:
        request = ChatRequest(params=params, headers=headers.forwarded(self.request.headers))
        response = await self.facade.gateway.chat(request, self.context())
        self._set_origin(response)
        body = render_completion(response.completion)
        self._log_content("gets", body)
        self.finish(body)

    async def _stream(self, params: ChatCompletionParams) -> None:
        request = StreamRequest(params=params, headers=headers.forwarded(self.request.headers))
        responses = self.facade.gateway.stream(request, self.context())
        renderer = ChunkRenderer(include_usage=params.stream_options.include_usage)
        events = EventStream(self, self.facade.settings.ping)
        traced = log.isEnabledFor(logging.DEBUG)
        try:
            async with contextlib.aclosing(responses):
                async for response in responses:
                    if not events.begun:
                        self._set_origin(response)
                    block = renderer.render(response)
                    if traced:
                        self._log_content("gets", block)
                    slow = events.send(block)
                    if slow is not None:
                        # Nothing more is taken from the gateway until the client has taken this.
                        await slow
            events.end(renderer.finish())
        except (Exception, asyncio.CancelledError) as raised:
            if not events.begun or self.client.closed():
                raise
            events.end(render_error_event(self._after_begin(raised)))
        finally:
            events.close()

    def _after_begin(self, raised: BaseException) -> GatewayError:
        """Return the error to tell in an event: the status has been sent, and said 200."""
        return self.failure(shutting_down() if isinstance(raised, asyncio.CancelledError) else raised)

    def _set_origin(self, response: ChatResponse | StreamResponse) -> None:
        """Tell who serves the answer, and which limits the backend named."""
        if response.HasField("served"):
            self.set_header("X-Portico-Model", headers.served_by(response.served))
        self.set_headers(headers.returned(response.headers))

    def _log_content(self, verb: str, body: bytes) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s %s", self.request_id, verb, body.decode("utf-8", "replace"))
