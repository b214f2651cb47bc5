"""The requests of one connection, one after the other (RFC 9112).

What a client sends ahead of its answers waits here, up to a bound, and is taken up in its turn.
"""

from collections.abc import Callable
from typing import Final, Protocol

from portico.errors import GatewayError, unavailable
from portico_facade.connection import ClientStream
from portico_facade.deadline import Deadline
from portico_facade.framing import Chunked, Measured
from portico_facade.headers import headers_too_large
from portico_facade.refusal import headers_too_slow, refusal
from portico_facade.request import malformed, read_request, starts_a_request
from portico_facade.state import Facade
from portico_facade.upload import Upload, too_slow

_HEAD_BYTES: Final = 64 * 1024

#: So much may a client send ahead; more is left to the sockets.
_AHEAD_BYTES: Final = 64 * 1024

_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answerer(Protocol):
    """Whoever answers a request."""

    #: Whether the answer is on its way.
    begun: bool

    def client_left(self) -> None:
        """Stop: nobody is there any more."""
        ...

    def interrupt(self) -> None:
        """Answer with an error: the facade stops."""
        ...


class Conversation:
    """Reads requests, and has each answered before it reads the next.

    ``handle`` is called with this once a body is whole or refused, and sets ``answering``; ``answered`` ends
    that. The headers of a request have ``client_timeout`` from their first byte, on a new connection from its
    beginning, and between two requests there may be ``idle`` seconds.
    """

    __slots__ = (
        *("_begun", "_body", "_bytes", "_deadline", "_handle", "_idle", "_kept"),
        *("answering", "facade", "stream", "upload"),
    )

    upload: Upload

    def __init__(
        self, stream: ClientStream, facade: Facade, handle: "Callable[[Conversation], None]", idle: float
    ) -> None:
        self.stream = stream
        self.facade = facade
        #: The request under way is one of ``facade.running``; who answers it, once somebody does.
        self.answering: Answerer | None = None
        self._handle = handle
        self._idle = idle
        # What is to come of the body of the request under way.
        self._body: Measured | Chunked | None = None
        # What has come of the next request; whether it has begun, and is not the first.
        self._bytes = b""
        self._begun = self._kept = False
        self._deadline = Deadline(self._late)
        self._deadline.set(facade.settings.client_timeout)
        stream.receive = self._received

    def answered(self, *, keep: bool) -> None:
        """Go on to the next request, or close where the client or its answer wants no other."""
        self._forget()
        if self.stream.closed():
            return
        if not keep or self._body is not None:
            if self._bytes:
                # Who sends ahead may be sending still.
                self.stream.linger = True
            self.stream.close()
            return
        self._begun, self._kept = False, True
        self._deadline.set(self._idle)
        ahead, self._bytes = self._bytes + self.stream.resume(), b""
        if ahead:
            self._read_head(ahead)

    def cut(self) -> None:
        """End the request under way with an error: the facade stops."""
        if self.answering is not None:
            self.answering.interrupt()
        else:
            self.upload.refused = unavailable("The gateway is shutting down. Try again.", "shutting_down")
            self._answer()

    def closed(self) -> None:
        """End what is under way: the connection is closed."""
        self._deadline.end()
        self._bytes = b""
        if self.answering is not None:
            self.answering.client_left()
        elif self in self.facade.running:
            # It is told of, as the other requests are.
            self._handle(self)

    def _received(self, data: bytes) -> None:
        if self._body is not None:
            self._read_body(self._body, data)
        elif self in self.facade.running:
            self._keep(self._bytes + data)
        else:
            self._read_head(self._bytes + data)

    def _read_head(self, data: bytes) -> None:
        # Some clients end a body with an empty line that is not of it.
        data = data.lstrip(b"\r\n")
        if not data:
            # Nothing has begun: the limit that holds goes on.
            return
        end = data.find(b"\r\n\r\n")
        if (end + 4 if end >= 0 else len(data)) > _HEAD_BYTES:
            self._refuse(headers_too_large())
        elif end >= 0:
            self._bytes = b""
            self._begin(data[: end + 4], data[end + 4 :])
        elif b"\n\n" in data or not starts_a_request(data):
            # Who ends lines with line feeds alone, or speaks TLS, will not send what is waited for.
            self._refuse(malformed())
        else:
            self._bytes = data
            if self._kept and not self._begun:
                self._deadline.set(self.facade.settings.client_timeout)
            self._begun = True

    def _begin(self, head: bytes, rest: bytes) -> None:
        try:
            request = read_request(head)
        except GatewayError as error:
            self._refuse(error)
            return
        self.upload = upload = Upload(request, self.facade.settings.body_limit)
        self.facade.running.add(self)
        if request.length == 0:
            self._whole(rest)
            return
        self._body = body = Chunked() if request.length is None else Measured(request.length)
        if upload.refused is not None:
            self._answer()
        elif request.awaits_leave:
            self.stream.send(_GO_ON)
        if rest:
            self._read_body(body, rest)
        if self._body is not None and self.answering is None:
            self._deadline.set(self.facade.settings.client_timeout)

    def _read_body(self, body: Measured | Chunked, data: bytes) -> None:
        upload = self.upload
        try:
            piece, rest = body.take(data)
        except GatewayError as error:
            # Of a request that is refused already the client has one answer to read.
            if self.answering is None or not self.answering.begun:
                self._refuse(error)
            return
        if piece:
            upload.take(piece)
        if rest is not None:
            self._body = None
            self._whole(rest)
        elif upload.refused is not None and self.answering is None:
            self._answer()

    def _whole(self, rest: bytes) -> None:
        self.upload.whole = True
        if self.answering is None:
            self._answer()
        if rest:
            self._keep(rest)

    def _keep(self, ahead: bytes) -> None:
        """Keep what was sent ahead, and hear of a client that leaves, unless that is too much."""
        self._bytes = ahead
        if len(ahead) > _AHEAD_BYTES:
            self.stream.hold()

    def _answer(self) -> None:
        self._deadline.clear()
        self._handle(self)

    def _late(self) -> None:
        if self.stream.closed():
            return
        if self._body is not None:
            if self.upload.stalled():
                self.upload.refused = too_slow()
                self._answer()
            else:
                self._deadline.set(self.facade.settings.client_timeout)
        elif self._begun:
            self._refuse(headers_too_slow())
        else:
            self.stream.close()

    def _refuse(self, error: GatewayError) -> None:
        """Answer what is no request, and close. A handler that has not answered hears of the close."""
        self._body = None
        if self.answering is None:
            self._forget()
        self.stream.dismiss(refusal(error, self.facade.metrics))

    def _forget(self) -> None:
        self.answering = None
        if self in self.facade.running:
            del self.upload
            self.facade.leave(self)
