"""The base of all handlers. Each has four beats: read and bound, parse, call the gateway, map the error.

The first is over when a handler runs (``upload``), the last is done around it (``run``); what is left of
a handler is to parse, to call, and to render.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar, Final

from tornado.iostream import StreamClosedError

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, internal, unavailable
from portico.gateway import CallContext
from portico.openai.errors import render_error
from portico_facade import access, cors, headers
from portico_facade.conversation import Conversation
from portico_facade.head import render_head
from portico_facade.metrics import CLIENT_GONE, OTHER

log: Final = logging.getLogger("portico.facade")


class Handler:
    """One request, answered in JSON unless the handler says otherwise.

    For each of ``methods`` it has one of that name in lower case; it takes what the path names, and what it
    returns is awaited.
    """

    #: The path that it answers, as metrics know it: ``/v1/models/{id}``.
    route: ClassVar[str] = OTHER
    #: What the path understands.
    methods: ClassVar[tuple[str, ...]]
    #: Of the access log's line.
    access_level: ClassVar[int] = logging.INFO

    # All that an open stream keeps: a dictionary for each would take 0.8 KiB more.
    __slots__ = (
        *("_args", "_conversation", "begun", "call", "client", "ends_connection", "error", "facade"),
        *("finished", "first_byte_ms", "headers", "interrupted", "keeps_alive", "model", "request"),
        *("request_id", "running", "sent_bytes", "status", "streamed", "task", "upload"),
    )

    def __init__(self, conversation: Conversation, args: tuple[str, ...]) -> None:
        """``args``: what the path names."""
        self.facade = conversation.facade
        self.upload = conversation.upload
        self.request = request = conversation.upload.request
        self.client = conversation.stream
        self.request_id = headers.request_id(request.headers)
        self._args = args
        self._conversation = conversation
        conversation.answering = self

        #: What runs it, and whether that has begun and not ended.
        self.task: asyncio.Task[None] | None = None
        self.running = False
        self.interrupted = False
        #: What travels beside the request, once it is on its way.
        self.call: CallContext | None = None

        # Of the answer: its headers, beside those that every answer has.
        self.status = 200
        self.headers: dict[str, str] = {}
        #: Whether the head of the answer has been sent, and whether all of it has been handed on.
        self.begun = False
        self.finished = False
        #: The end of the connection is the end of the answer.
        self.ends_connection = False
        #: What the head has said of the connection; a client that relies on it may be sending.
        self.keeps_alive = False

        # For the access log and the metrics, as far as they become known.
        self.model: str | None = None
        self.streamed: bool | None = None
        self.error: GatewayError | None = None
        self.sent_bytes = 0
        #: Milliseconds until the answer began.
        self.first_byte_ms: float | None = None

    async def run(self) -> None:
        """Answer. Stops when the client leaves or the facade does."""
        self.running = True
        try:
            # Of a client that left along with its request nobody is told any more.
            if self.client.closed() or self.interrupted:
                raise asyncio.CancelledError
            if self.upload.refused is None:
                await self._method()(*self._args)
            else:
                self._fail(self.upload.refused)
        except (asyncio.CancelledError, StreamClosedError) as error:
            if not self.client.closed():
                self._fail(shutting_down() if self.interrupted else error)
            elif self.client.linger:
                # The rest of the request was no HTTP: the connection has answered, and told of it.
                self._let_go()
            else:
                self._gone()
        except Exception as error:
            self._fail(error)
        finally:
            self.running = False
            # Which would keep this from being freed at once.
            self.task = None

    async def options(self, *_: str) -> None:
        """Answer a browser's preflight, or tell what the path understands."""
        allowed = self._allowed()
        self.set_headers(cors.preflight_headers(self.facade.settings.origins, self.request.headers, allowed))
        self.headers["Allow"] = allowed
        self.status = 204
        self.finish()

    def set_headers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set several headers of the answer."""
        self.headers.update(pairs)

    def context(self) -> CallContext:
        """Return what travels to the gateway beside the request; 401 where it cannot."""
        sent = self.request.headers
        self.call = CallContext(
            self.request_id,
            headers.authorization(sent),
            headers.traceparent(sent),
            key=headers.gateway_key(sent),
        )
        return self.call

    def elapsed_ms(self) -> float:
        """Return milliseconds since the request's headers were read."""
        return (time.monotonic() - self.upload.started) * 1000

    def client_left(self) -> None:
        """Stop the work for a client that left."""
        self._stop()

    def interrupt(self) -> None:
        """End the request with an error: the facade stops."""
        self.interrupted = True
        self._stop()

    def opening(self, framing: tuple[str, str] | None) -> bytes:
        """Return the head of the answer, with the header that says how its body ends."""
        self.first_byte_ms = self.elapsed_ms()
        named = {
            "Content-Type": "application/json",
            "X-Request-Id": self.request_id,
            "Openai-Processing-Ms": str(round(self.first_byte_ms)),
        }
        settings = self.facade.settings
        if settings.origins:
            named.update(cors.answer_headers(settings.origins, self.request.headers))
        if self.call is not None and self.call.receipt is not None:
            named.update(headers.of_receipt(self.call.receipt))
        named.update(self.headers)
        if framing is not None:
            named[framing[0]] = framing[1]
        self.keeps_alive = self._may_keep_alive()
        if not self.keeps_alive:
            named["Connection"] = "close"
        elif self.request.version == "HTTP/1.0":
            named["Connection"] = "Keep-Alive"
        head = render_head(self.status, named)
        self.begun = True
        return head

    def finish(self, body: bytes = b"") -> None:
        """Send the whole answer."""
        without_body = self.status in (204, 304)
        data = self.opening(None if without_body else ("Content-Length", str(len(body))))
        if self.request.method != "HEAD" and not without_body:
            self.sent_bytes += len(body)
            data += body
        self.end(data)

    def end(self, data: bytes) -> None:
        """Send the last bytes of the answer and let go of the connection when the client has them."""
        if not self.client.closed() and not self.client.send(data):
            self.client.write(b"").add_done_callback(lambda _: self._let_go())
            self._over(written=False)
        else:
            self._over()

    def failure(self, raised: BaseException) -> GatewayError:
        """Return the error to tell for what was raised after the answer had begun, and log the rest."""
        self._log_failure(raised)
        self.error = raised if isinstance(raised, GatewayError) else internal("")
        return self.error

    def _fail(self, raised: BaseException) -> None:
        """Answer with an error, or break off where the answer has begun."""
        self._log_failure(raised)
        if self.finished:
            return
        self.error = error = raised if isinstance(raised, GatewayError) else internal("")
        if self.begun:
            self.client.close()
            self._over()
            return
        self.status = error.http_status
        self.headers = dict(headers.of_error(error))
        if error.http_status == 405:
            self.headers["Allow"] = self._allowed()
        # What is left of a body will not be read, and no further request on this connection.
        self.client.linger = not self.upload.whole
        try:
            self.finish(render_error(error))
        except StreamClosedError:
            self._gone()

    def _gone(self) -> None:
        """End the request of a client that left: nobody reads the answer."""
        self.status = CLIENT_GONE
        self._over()

    def _over(self, *, written: bool = True) -> None:
        """Note the end of the answer."""
        self.finished = True
        self._record()
        if written:
            self._let_go()

    def _let_go(self) -> None:
        """Have the connection read on, or close, and the facade forget the request."""
        self._conversation.answered(keep=self.keeps_alive)
        # An error remembers the frames that it passed, and would keep this from being freed at once.
        self.error = None

    def _stop(self) -> None:
        # A task that is cancelled before it has begun would do nothing at all.
        if self.running and self.task is not None:
            self.task.cancel()

    def _method(self) -> Callable[..., Awaitable[None]]:
        name = self.request.method
        if name == "OPTIONS":
            return self.options
        if name in self.methods:
            found: Callable[..., Awaitable[None]] = getattr(self, name.lower())
            return found
        message = f"Not allowed to {name} on {self.request.path[:200]}; it takes {self._allowed()}."
        raise GatewayError(ErrorClass.CALLER, 405, message, INVALID_REQUEST, "method_not_supported")

    def _may_keep_alive(self) -> bool:
        wanted = self.upload.whole and self.request.keeps_alive
        return wanted and not (self.ends_connection or self.facade.draining)

    def _allowed(self) -> str:
        return ", ".join((*self.methods, "OPTIONS"))

    def _log_failure(self, raised: BaseException) -> None:
        """Log what the caller must not read."""
        if not isinstance(raised, GatewayError):
            log.error("%s failed", self.request_id, exc_info=raised)
        elif raised.detail:
            log.warning("%s: %d %s: %s", self.request_id, raised.http_status, raised.code, raised.detail)

    def _record(self) -> None:
        """Count the request, and write its line of the access log."""
        first_byte_ms, elapsed = self.first_byte_ms, self.elapsed_ms()
        if self.status == CLIENT_GONE and not self.sent_bytes:
            first_byte_ms = None
        self.facade.metrics.ended(
            self.route,
            self.request.method,
            self.status,
            seconds=elapsed / 1000,
            first_byte=None if first_byte_ms is None else first_byte_ms / 1000,
            streamed=bool(self.streamed),
            error=self.error,
        )
        access.record(
            self.access_level,
            method=self.request.method,
            path=self.request.path,
            status=self.status,
            ms=elapsed,
            request_id=self.request_id,
            model=self.model,
            stream=self.streamed,
            bytes=self.sent_bytes,
            error=None if self.error is None else self.error.code or self.error.type,
        )


def shutting_down() -> GatewayError:
    """503: the facade ended the request because it stops."""
    return unavailable("The gateway is shutting down. Try again.", "shutting_down")
