"""The clients' connections: what Tornado's server leaves to its users.

- A client that stops reading is dropped; Tornado alone would keep its answer in memory for ever.
- Headers have a time to arrive in, and an idle connection another; Tornado alone has one limit for both.
- An answer that comes before the request is whole (too large, malformed) arrives: closing a socket
  with unread data in it makes TCP throw the answer away, so the rest is read and dropped for a while.
- What Tornado refuses by itself gets a body in OpenAI's form.
- TCP_NODELAY, always: every write of ours is a whole message.
"""

import array
import asyncio
import contextlib
import fcntl
import http
import logging
import socket
import termios
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from portico.errors import GatewayError, invalid_request
from portico.openai.errors import render_error
from portico_facade import access, headers
from portico_facade.listen import waiting

_log: Final = logging.getLogger("portico.facade")

#: What Tornado answers to a request that it cannot parse, before it closes the connection.
_TORNADO_REFUSES: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"

# Seconds for which the rest of a refused request is read: in all, and without a byte.
_LINGER: Final = 30.0
_LINGER_SILENCE: Final = 2.0


class Server(HTTPServer):
    """Tornado's HTTP server over ``ClientStream``."""

    client_timeout: float
    idle: float
    refused: Callable[[GatewayError], None]
    lingering: set[asyncio.Task[None]]

    def initialize(  # type: ignore[override]
        self,
        *args: Any,
        client_timeout: float,
        idle: float,
        refused: Callable[[GatewayError], None],
        **kwargs: Any,
    ) -> None:
        """Take Tornado's arguments, two limits in seconds, and whom to tell of what is no request."""
        super().initialize(*args, **kwargs)
        # `ClientStream` has its own limits, which cost less than Tornado's.
        self.conn_params.header_timeout = None
        self.idle = idle
        self.client_timeout = client_timeout
        self.refused = refused
        self.lingering = set()

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve an accepted connection."""
        # Nothing has been read from the stream that Tornado made: its socket changes hands.
        client = ClientStream(
            stream.socket,
            self.client_timeout,
            self.idle,
            self.refused,
            self.lingering,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=self.read_chunk_size,
        )
        super().handle_stream(client, address)

    @property
    def connected(self) -> bool:
        """Whether connections are open."""
        return bool(self._connections)

    def leave(self) -> None:
        """Accept the connections that wait for it, and no others from then on."""
        sockets = list(self._sockets.values())
        for sock in sockets:
            for connection, address in waiting(sock):
                self.handle_stream(IOStream(connection), address)
        self.stop()

    async def close_all_connections(self) -> None:
        """Close every connection, the lingering ones too."""
        await super().close_all_connections()
        for task in self.lingering:
            task.cancel()
        await asyncio.gather(*self.lingering, return_exceptions=True)


class ClientStream(IOStream):
    """The socket of one client.

    ``patience``: seconds for the headers of a request, counted from their first byte, on a new connection
    from its beginning; and for which a client may take nothing. ``idle``: seconds between two requests.
    """

    def __init__(
        self,
        sock: socket.socket,
        patience: float,
        idle: float,
        refused: Callable[[GatewayError], None],
        lingering: set[asyncio.Task[None]],
        **options: Any,
    ) -> None:
        super().__init__(sock, **options)
        super().set_nodelay(True)
        #: Whether to read on after the close, so that the client gets the answer.
        self.linger = False
        self._lingering = lingering
        self._refused = refused
        self._patience = patience
        self._idle = idle
        #: Whether headers have come on this connection, and whether the next ones have begun to.
        self._kept = False
        self._begun = False
        self._head: asyncio.TimerHandle | None = None
        self._sent = 0
        self._watch: asyncio.TimerHandle | None = None

    def set_nodelay(self, value: bool) -> None:
        """Do nothing: Tornado would switch it off after every request."""

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read the headers of a request, for which alone Tornado uses this, while their time lasts.

        Raises StreamClosedError on a closed connection: Tornado alone would take requests that were sent
        ahead from its buffer.
        """
        if self.socket is None:
            raise StreamClosedError(self.error)
        self._begun = False
        self._limit_head(self._idle if self._kept else self._patience)
        future = super().read_until_regex(regex, max_bytes)
        if isinstance(future, asyncio.Future) and not future.done():
            # The first of its callbacks: it runs before whoever awaits the headers reads on.
            future.add_done_callback(lambda _: self._head_came())
        else:
            self._head_came()
        return future

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read from the socket, and note the first byte of a request."""
        count = super().read_from_fd(buf)
        if count and self._head is not None and not self._begun:
            self._begun = True
            if self._kept:
                self._limit_head(self._patience)
        return count

    def _limit_head(self, seconds: float) -> None:
        if self._head is not None:
            self._head.cancel()
        self._head = asyncio.get_running_loop().call_later(seconds, self._head_late)

    def _head_came(self) -> None:
        self._kept = True
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _head_late(self) -> None:
        self._head = None
        if self._begun and not self.closed():
            with contextlib.suppress(OSError):
                self.socket.send(self._refusal(headers.headers_too_slow()))
        self.close()

    def write(self, data: bytes | memoryview) -> "asyncio.Future[None]":
        """Write, and watch that the client takes what its socket's buffer could not."""
        if data == _TORNADO_REFUSES:
            error = invalid_request("The request is not HTTP/1.1 as RFC 9112 defines it.", code="malformed")
            data = self._refusal(error)
        future = super().write(data)
        if self._watch is None and self.writing():
            self._watch_progress()
        return future

    def send(self, data: bytes) -> bool:
        """Write, without the buffer and the future that ``write`` costs; return whether all is on its way.

        If not, ``await write(b"")`` waits for it.
        """
        sent = 0
        # What `writing` and `closed` tell, without their calls: this runs for each token.
        if not (self._write_futures or self._closed):
            try:
                sent = self.socket.send(data)
            except OSError:
                # The socket is full or broken: `write` knows what to do.
                sent = 0
            if sent == len(data):
                return True
        self._sent += sent
        self.write(memoryview(data)[sent:])
        return False

    def write_to_fd(self, data: memoryview) -> int:
        """Write to the socket, and count."""
        count = super().write_to_fd(data)
        self._sent += count
        return count

    def _watch_progress(self) -> None:
        loop = asyncio.get_running_loop()
        taken = self._sent - _queued(self.socket)
        self._watch = loop.call_later(self._patience, self._check_progress, taken)

    def _check_progress(self, taken_before: int) -> None:
        self._watch = None
        if not self.writing():
            return
        if self._sent - _queued(self.socket) == taken_before:
            _log.info("a client took nothing of its answer for %g s: dropped", self._patience)
            self.close()
        else:
            self._watch_progress()

    def close(self, exc_info: Any = False) -> None:
        """Close; Tornado does so without a word when the headers do not end within its limit."""
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed():
            with contextlib.suppress(OSError):
                self.socket.send(self._refusal(headers.headers_too_large()))
        super().close(exc_info)

    def close_fd(self) -> None:
        """Close the socket, or let it linger."""
        if self._head is not None:
            self._head.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if not self.linger:
            super().close_fd()
            return
        sock, self.socket = self.socket, None  # type: ignore[assignment]
        task = asyncio.get_running_loop().create_task(_linger(sock))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    def _refusal(self, error: GatewayError) -> bytes:
        """Return the whole answer to a request that no handler will see."""
        self.linger = True
        request_id = headers.new_request_id()
        body = render_error(error)
        self._refused(error)
        access.record(logging.INFO, status=error.http_status, request_id=request_id, error=error.code)
        head = (
            f"HTTP/1.1 {error.http_status} {http.HTTPStatus(error.http_status).phrase}\r\n"
            "Server: portico\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nOpenai-Processing-Ms: 0\r\n\r\n"
        )
        return head.encode("ascii") + body


def _queued(sock: socket.socket) -> int:
    """Return how many bytes the system still holds for the other end; 0 where it does not tell.

    Linux calls a socket writable once a third of its buffer is free, megabytes that a slow client takes
    minutes for.
    """
    queued = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(sock, termios.TIOCOUTQ, queued)
    return queued[0]


async def _linger(sock: socket.socket) -> None:
    """Close for writing, read and drop what still comes, then close."""
    loop = asyncio.get_running_loop()
    dropped = bytearray(64 * 1024)
    end = loop.time() + _LINGER
    try:
        sock.shutdown(socket.SHUT_WR)
        while (left := end - loop.time()) > 0:
            async with asyncio.timeout(min(left, _LINGER_SILENCE)):
                if not await loop.sock_recv_into(sock, dropped):
                    break
    except (OSError, TimeoutError):
        pass
    finally:
        sock.close()
