"""One HTTP/1.1 connection: a request out, an answer in, and whether it serves another request then."""

import asyncio
import select
import ssl
from collections.abc import Sequence
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from portico_adapters._http.failures import BrokenOffError, NotHttpError

#: Bytes of an answer's head; servers that models run on send a few hundred.
_HEAD_BYTES: Final = 16 * 1024

# How much of a request is handed to the socket at once: a slow backend fills no buffer with all of it.
_PIECE: Final = 64 * 1024

# Bytes that wait for a reader before the backend is held back.
_HIGH_WATER: Final = 64 * 1024

# The most that one read returns.
_MOST: Final = 16 * 1024


class Connection(asyncio.Protocol):
    """``send``, then ``read`` until nothing comes. What goes wrong is raised by either, and stays wrong.

    What this class does per read of the socket it does once, however many chunks came; nothing of it is
    done for each chunk but by the parser.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        # Made when it is first asked: most streams end with their connection unasked.
        self._poll: select.poll | None = None
        #: Status of the answer; 0 until its head is there.
        self.status = 0
        #: Headers of the answer, names in lower case.
        self.headers: list[tuple[bytes, bytes]] = []
        #: Bytes of those.
        self._head = 0
        #: Bytes since the last of a body; nothing else may go on and on.
        self._barren = 0
        self._pieces: list[bytes] = []
        #: Bytes that came for those, their framing too: small pieces cost more than they hold.
        self._held = 0
        #: All of the answer has come.
        self._whole = True
        #: What of the request has not been handed to the socket yet.
        self._rest: bytes | memoryview = b""
        self._full = False
        self._reusable = True
        self._error: Exception | None = None
        self._paused = False
        # Set by whoever waits for something to come.
        self._wake: asyncio.Future[None] | None = None
        # The parser calls this for each chunk of a body.
        self.on_body: Final = self._pieces.append
        self._parser: Final = HttpResponseParser(self)
        # What servers get wrong and clients take: bare line feeds, odd header values, padded chunk sizes.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    @property
    def usable(self) -> bool:
        """Whether it can take a request: it is open, and nothing is under way on it or left to read."""
        ready = self._whole and self._reusable and not self._rest and not self._pieces
        return ready and self._error is None and not self._transport.is_closing()

    def untouched(self) -> bool:
        """Whether one that was usable still is: no close or word of the other side has come since.

        Nor has any come that the loop has not read yet.
        """
        if not self._reusable:
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    async def send(self, head: bytes, body: bytes) -> None:
        """Send a request and wait for the head of its answer; raise BrokenOffError or NotHttpError."""
        if not self._reusable:
            raise BrokenOffError("closed, or spoken over, before the request")
        self.status, self.headers, self._head = 0, [], 0
        self._barren = self._held = 0
        self._whole = self._reusable = False
        if len(body) <= _PIECE:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._rest = memoryview(body)
            self._push()
        while not self.status:
            await self._coming()

    async def read(self) -> bytes:
        """Return what has come of the body, at most 16 KiB; wait where nothing has. Empty: it is over."""
        pieces = self._pieces
        while not pieces:
            if self._whole:
                return b""
            await self._coming()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if len(data) > _MOST:
            pieces.append(data[_MOST:])
            self._held = len(data) - _MOST
            data = data[:_MOST]
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Close it now. What is not sent yet is not sent, and the other side of TLS is not waited for."""
        self._transport.abort()

    def _push(self) -> None:
        """Send on, as far as there is room; a backend that has refused the request wants no more of it."""
        while self._rest and not self._full and self.status < 400 and not self._transport.is_closing():
            piece = self._rest[:_PIECE]
            # All of a body that has gone is let go of.
            self._rest = self._rest[_PIECE:] or b""
            self._transport.write(piece)

    def _coming(self) -> asyncio.Future[None]:
        """Return what is done once something has come."""
        if self._error is not None:
            raise self._error
        self._wake = self._loop.create_future()
        return self._wake

    def _woken(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._whole:
            # Nobody asked: a time-out's farewell (408), or worse.
            self._reusable = False
            return
        pieces = self._pieces
        before = len(pieces)
        try:
            self._parser.feed_data(data)
            self._barren = 0 if len(pieces) > before else self._barren + len(data)
            if self._barren > _HEAD_BYTES and not self._whole:
                raise HttpParserError(f"more than {_HEAD_BYTES} bytes without one of the body")
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(NotHttpError(" ".join(str(error.__context__ or error).split())))
            self._transport.abort()
        else:
            self._held += len(data)
            if self._held > _HIGH_WATER and pieces and not self._whole and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        self._woken()

    def eof_received(self) -> None:
        self._reusable = False
        if self.status and not self._framed() and not self._cut_off():
            # Its end is how such an answer ends.
            self._whole = True
        # By itself it would close once all is sent, which the other side may never take.
        self._loop.call_soon(self._transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._whole:
            self._fail(BrokenOffError(str(error or "connection closed")))
        self._reusable = False
        self._woken()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._push()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head come trailers, which nobody has asked for.
        if not self.status:
            self.headers.append((name.lower(), value))
            self._head += len(name) + len(value)

    def on_headers_complete(self) -> None:
        if self._whole:
            raise HttpParserError("more than one answer")
        if self._head > _HEAD_BYTES:
            raise HttpParserError(f"more than {_HEAD_BYTES} bytes of headers")
        status = self._parser.get_status_code()
        if status < 100:
            raise HttpParserError(f"status {status}")
        if status < 200:
            # An interim answer, such as 100 Continue: the real one follows.
            self.headers.clear()
            self._head = 0
        else:
            self.status = status

    def on_message_complete(self) -> None:
        if self.status:
            self._whole = True
            self._reusable = self._parser.should_keep_alive()

    def on_message_begin(self) -> None:
        if self._whole:
            self._reusable = False

    def _framed(self) -> bool:
        # The parser takes a space in front of the colon.
        return any(name.rstrip() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _cut_off(self) -> bool:
        """Whether TCP alone has ended, and TLS had not: anybody on the way can do that (RFC 9112, 9.8)."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        try:
            return tls is not None and tls.read(1) != b""
        except ssl.SSLError:
            return True

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error


def value_of(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the value of the first header of a name, which is in lower case; empty where there is none."""
    for each, value in headers:
        if each == name:
            return value.decode("latin-1")
    return ""
