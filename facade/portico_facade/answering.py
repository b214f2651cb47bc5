"""The base of the handlers that ask a model: what a request and its answer pass, whichever they are."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Protocol, TypeVar

from portico.errors import GatewayError
from portico.openai.errors import render_error_event
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico_facade import headers
from portico_facade.handler import Handler, log, shutting_down
from portico_facade.sse import EventStream

S = TypeVar("S", StreamResponse, StreamCompleteResponse)
S_contra = TypeVar("S_contra", StreamResponse, StreamCompleteResponse, contravariant=True)


class Renderer(Protocol[S_contra]):
    """A renderer of ``portico.openai.chunks``."""

    def render(self, response: S_contra, /) -> bytes:
        """Return the events of a message."""
        ...

    def finish(self) -> bytes:
        """Return the end of a whole answer."""
        ...


class Answering(Handler):
    """A request with a JSON body, answered whole or as server-sent events."""

    methods = ("POST",)

    def asked(self) -> bytes:
        """Return the body."""
        body = self.upload.body()
        self._log_content("asks", body)
        return body

    def answer(self, response: ChatResponse | CompleteResponse | EmbedResponse, body: bytes) -> None:
        """Send a whole answer. ``response``: where it came from; ``body``: how it is written."""
        self._set_origin(response)
        self._log_content("gets", body)
        self.finish(body)

    async def relay(self, responses: AsyncGenerator[S, None], renderer: Renderer[S]) -> None:
        """Send a streamed answer, message by message."""
        events = EventStream(self, self.facade.settings.ping)
        traced = log.isEnabledFor(logging.DEBUG)
        try:
            async with contextlib.aclosing(responses):
                async for response in responses:
                    if not self.begun:
                        self._set_origin(response)
                    block = renderer.render(response)
                    # More than a KiB: not kept while the stream waits.
                    del response
                    if traced:
                        self._log_content("gets", block)
                    slow = events.send(block)
                    if slow is not None:
                        # Nothing more is taken from the gateway until the client has taken this.
                        # Shielded, as Tornado's future, cancelled, would be logged as a fault.
                        await asyncio.shield(slow)
            events.end(renderer.finish())
        except (Exception, asyncio.CancelledError) as raised:
            if not self.begun or self.client.closed():
                raise
            events.end(render_error_event(self._after_begin(raised)))
        finally:
            events.close()

    def _after_begin(self, raised: BaseException) -> GatewayError:
        """Return the error to tell in an event: the status has been sent, and said 200."""
        return self.failure(shutting_down() if isinstance(raised, asyncio.CancelledError) else raised)

    def _set_origin(
        self,
        response: ChatResponse | StreamResponse | CompleteResponse | StreamCompleteResponse | EmbedResponse,
    ) -> None:
        """Tell who serves the answer, and which limits the backend named."""
        if response.HasField("served"):
            served = response.served
            self.headers["X-Portico-Model"] = headers.served_by(served)
            if served.dropped:
                self.headers["X-Portico-Dropped"] = headers.listed(served.dropped)
        self.set_headers(headers.returned(response.headers))

    def _log_content(self, verb: str, body: bytes) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s %s", self.request_id, verb, body.decode("utf-8", "replace"))
