"""The base of all handlers. Each has four beats: read and bound, parse, call the gateway, map the error.

The first is over when a handler runs (``upload``), the last is done around it (``endpoint``,
``write_error``); what is left of a handler is to parse, to call, and to render.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar, cast

from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, internal, invalid_request, unavailable
from portico.gateway import CallContext
from portico.openai.errors import render_error
from portico_facade import access, cors, headers
from portico_facade.connection import ClientStream
from portico_facade.metrics import CLIENT_GONE, OTHER
from portico_facade.state import Facade
from portico_facade.upload import Upload

log: Final = logging.getLogger("portico.facade")

P = ParamSpec("P")
H = TypeVar("H", bound="Handler")


class Handler(RequestHandler):
    """One request, answered in JSON unless the handler says otherwise."""

    #: What the path understands.
    methods: ClassVar[tuple[str, ...]]
    #: Of the access log's line.
    access_level: ClassVar[int] = logging.INFO

    request_id = ""
    # For the access log and the metrics, as far as they become known.
    model: str | None = None
    streamed: bool | None = None
    error: GatewayError | None = None
    sent_bytes = 0
    #: Milliseconds until the answer began.
    first_byte_ms: float | None = None

    #: What travels beside the request, once it is on its way.
    call: CallContext | None = None
    task: asyncio.Task[Any] | None = None
    client_gone = False
    interrupted = False

    def initialize(self, facade: Facade, upload: Upload) -> None:
        """Take what ``app`` gives to every handler."""
        self.facade = facade
        self.upload = upload
        upload.interrupt = self.interrupt

    def set_default_headers(self) -> None:
        """Set what every answer has; called again when an error replaces an answer half made."""
        facade: Facade = self.settings["facade"]
        request = self.request.headers
        self.request_id = self.request_id or headers.request_id(request)
        self.set_header("Server", "portico")
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Request-Id", self.request_id)
        if facade.draining:
            self.set_header("Connection", "close")
        self.set_headers(cors.answer_headers(facade.settings.origins, request))

    def set_headers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set several headers."""
        for name, value in pairs:
            self.set_header(name, value)

    @property
    def client(self) -> ClientStream:
        """The client's socket."""
        return cast("ClientStream", cast("HTTP1Connection", self.request.connection).stream)

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

    def prepare(self) -> None:
        """Answer a request that was refused before its body was whole."""
        if self.upload.refused is not None:
            raise self.upload.refused

    def options(self, *_: str) -> None:
        """Answer a browser's preflight, or tell what the path understands."""
        self.set_headers(
            cors.preflight_headers(self.facade.settings.origins, self.request.headers, self._allowed())
        )
        self.set_header("Allow", self._allowed())
        self.set_status(204)

    def on_connection_close(self) -> None:
        """Stop the work for a client that left."""
        self.client_gone = True
        if self.task is not None:
            self.task.cancel()

    def interrupt(self) -> None:
        """End the request with an error: the facade stops."""
        self.interrupted = True
        if self.task is not None:
            self.task.cancel()

    def stamp(self) -> None:
        """Set the headers that are not known before the answer begins."""
        if self.first_byte_ms is None:
            self.first_byte_ms = self.elapsed_ms()
        self.set_header("Openai-Processing-Ms", str(round(self.first_byte_ms)))
        if self.call is not None and self.call.receipt is not None:
            self.set_headers(headers.of_receipt(self.call.receipt))

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "asyncio.Future[None]":
        """Send the answer, or the last of it."""
        self.stamp()
        if isinstance(chunk, bytes):
            self.sent_bytes += len(chunk)
        return super().finish(chunk)

    def on_finish(self) -> None:
        """Let the facade forget the request once the client has all of the answer."""
        if self.client.writing():
            self.client.write(b"").add_done_callback(lambda _: self.facade.leave(self.upload))
        else:
            self.facade.leave(self.upload)

    def compute_etag(self) -> None:
        """Return none: answers are not to be cached."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error. Tornado calls this for whatever was raised, its own errors too."""
        raised = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        self.error = error = raised if isinstance(raised, GatewayError) else self._own_error(status_code)
        self.set_status(error.http_status)
        self.set_headers(headers.of_error(error))
        if error.http_status == 405:
            self.set_header("Allow", self._allowed())
        if not self.upload.whole:
            # What is left of the body will not be read, and no further request on this connection.
            self.set_header("Connection", "close")
            self.client.linger = True
        self.finish(render_error(error))

    def failure(self, raised: BaseException) -> GatewayError:
        """Return the error to tell for what was raised after the answer had begun, and log the rest."""
        self.log_exception(type(raised), raised, raised.__traceback__)
        self.error = raised if isinstance(raised, GatewayError) else internal("")
        return self.error

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Log what the caller must not read."""
        if isinstance(value, GatewayError):
            if value.detail:
                log.warning("%s: %d %s: %s", self.request_id, value.http_status, value.code, value.detail)
        elif not isinstance(value, HTTPError):
            log.error("%s failed", self.request_id, exc_info=(typ, value, tb))  # type: ignore[arg-type]

    def _own_error(self, status_code: int) -> GatewayError:
        if status_code == 405:
            message = (
                f"Not allowed to {self.request.method} on {self.request.path}; it takes {self._allowed()}."
            )
            return GatewayError(ErrorClass.CALLER, 405, message, INVALID_REQUEST, "method_not_supported")
        if status_code == 400:
            return invalid_request("The request's path or query is not as RFC 3986 defines it.")
        return internal("")

    def _allowed(self) -> str:
        return ", ".join((*self.methods, "OPTIONS"))


def endpoint(
    method: Callable[Concatenate[H, P], Awaitable[None]],
) -> Callable[Concatenate[H, P], Coroutine[Any, Any, None]]:
    """Make a handler's method one that ends when its client leaves or the facade stops."""

    @functools.wraps(method)
    async def guarded(self: H, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self.task = asyncio.current_task()
        try:
            # A client that left along with its request is not told of by `on_connection_close`.
            if self.client.closed() or self.interrupted:
                raise asyncio.CancelledError
            await method(self, *args, **kwargs)
        except (asyncio.CancelledError, StreamClosedError):
            if self.client_gone or self.client.closed():
                # Nobody reads the answer: this is for the access log.
                self.set_status(CLIENT_GONE)
            elif self.interrupted:
                raise shutting_down() from None
            else:
                raise
        finally:
            self.task = None

    return guarded


def shutting_down() -> GatewayError:
    """503: the facade ended the request because it stops."""
    return unavailable("The gateway is shutting down. Try again.", "shutting_down")


def log_access(handler: RequestHandler) -> None:
    """Write the access log's line of a request, and count it; ``tornado.web``'s ``log_function``."""
    if isinstance(handler, Handler):
        error, first_byte_ms = handler.error, handler.first_byte_ms
        if handler.get_status() == CLIENT_GONE and not handler.sent_bytes:
            first_byte_ms = None
        handler.facade.metrics.ended(
            handler.settings["route_names"].get(type(handler), OTHER),
            handler.request.method,
            handler.get_status(),
            seconds=handler.elapsed_ms() / 1000,
            first_byte=None if first_byte_ms is None else first_byte_ms / 1000,
            streamed=bool(handler.streamed),
            error=error,
        )
        access.record(
            handler.access_level,
            method=handler.request.method,
            path=handler.request.path,
            status=handler.get_status(),
            ms=handler.elapsed_ms(),
            request_id=handler.request_id,
            model=handler.model,
            stream=handler.streamed,
            bytes=handler.sent_bytes,
            error=None if error is None else error.code or error.type,
        )
