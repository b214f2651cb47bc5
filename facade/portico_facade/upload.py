"""A request's body on its way in, bounded in size and in time."""

import asyncio
import time
import zlib
from collections.abc import Callable
from typing import Final, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, invalid_request, too_large, unavailable
from portico_facade.request import Request, request_of
from portico_facade.state import Facade

#: Of a body so many bytes, or all that is left, must arrive within every ``client_timeout``.
_LEAST_PROGRESS: Final = 16 * 1024

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_ENCODINGS: Final = _GZIP | {"", "identity"}


class Upload(HTTPMessageDelegate):
    """Collects a request, and has it handled once its body is whole or refused."""

    def __init__(
        self, facade: Facade, connection: HTTP1Connection, handle: Callable[["Upload"], None]
    ) -> None:
        self._facade = facade
        self._connection = connection
        self._handle = handle
        #: ``time.monotonic()`` at which its headers had been read.
        self.started = 0.0
        self.request: Request
        self._headers: HTTPHeaders
        self._encoding = ""
        self._pieces: list[bytes] = []
        self._size = 0
        self._watch: asyncio.TimerHandle | None = None
        #: Why the body was not taken to its end.
        self.refused: GatewayError | None = None
        self.whole = False
        #: What ends the handler, once it runs.
        self.interrupt: Callable[[], None] | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Refuse what need not be read; watch the rest."""
        self.started = time.monotonic()
        self._headers = headers
        self.request = request_of(cast("RequestStartLine", start_line), headers, self._connection)
        self._facade.running.add(self)
        told = self.request.headers
        if self.request.version == "HTTP/1.0":
            # Which knows no answer before the answer (RFC 9110, 10.1.1).
            headers.pop("Expect", None)
        self._encoding = told.get("content-encoding", "").lower()
        declared = told.get("content-length", "")
        if self._encoding not in _ENCODINGS:
            self._refuse(_unsupported(self._encoding))
        elif declared.isdecimal() and len(declared) < 19 and int(declared) > self._limit:
            self._refuse(too_large("request body", self._limit))
        elif declared != "0" and (declared or "transfer-encoding" in told):
            self._watch_progress()

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, or drop it when it is too much."""
        if self.refused is None:
            self._pieces.append(chunk)
            self._size += len(chunk)
            if self._size > self._limit:
                self._refuse(too_large("request body", self._limit))

    def finish(self) -> None:
        """Run the handler."""
        self.whole = True
        if self.refused is None:
            self._run()

    def on_connection_close(self) -> None:
        """End the request: its client went away, or sent what is no HTTP."""
        if self.refused is None and self in self._facade.running:
            # Nobody is there to answer: the handler is to tell of it.
            self._run()

    def cut(self) -> None:
        """End the request with an error: the facade stops."""
        if self.interrupt is not None:
            self.interrupt()
        elif self.refused is None:
            self._refuse(unavailable("The gateway is shutting down. Try again.", "shutting_down"))

    def body(self) -> bytes:
        """Hand over the body, once, unpacked if it was packed; 413 where that makes it too large."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        if self._encoding not in _GZIP:
            return data
        packed = zlib.decompressobj(wbits=31)
        try:
            data = packed.decompress(data, self._limit + 1)
        except zlib.error:
            raise _bad_gzip() from None
        if len(data) > self._limit:
            raise too_large("unpacked request body", self._limit)
        if not packed.eof or packed.unused_data:
            raise _bad_gzip()
        return data

    @property
    def _limit(self) -> int:
        return self._facade.settings.body_limit

    def _refuse(self, error: GatewayError) -> None:
        self.refused = error
        self._pieces.clear()
        # A client that waits for leave to send its body gets none.
        self._headers.pop("Expect", None)
        self._run()

    def _run(self) -> None:
        self._stop_watching()
        self._handle(self)

    def _watch_progress(self) -> None:
        patience = self._facade.settings.client_timeout
        self._watch = asyncio.get_running_loop().call_later(patience, self._check_progress, self._size)

    def _check_progress(self, size_before: int) -> None:
        if self._size - size_before < _LEAST_PROGRESS:
            self._refuse(_too_slow())
        else:
            self._watch_progress()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()


def _unsupported(encoding: str) -> GatewayError:
    message = f"Content-Encoding {encoding!r} is not supported. Send the body as it is, or in gzip."
    return GatewayError(ErrorClass.CALLER, 415, message, INVALID_REQUEST, "unsupported_content_encoding")


def _too_slow() -> GatewayError:
    message = "The request body did not arrive in time."
    return GatewayError(ErrorClass.CALLER, 408, message, INVALID_REQUEST, "request_timeout")


def _bad_gzip() -> GatewayError:
    return invalid_request("The request body is not gzip, as its Content-Encoding says.")
