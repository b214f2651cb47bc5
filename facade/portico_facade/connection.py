"""The clients' connections, over Tornado's: what its server and its streams leave to their users.

- What comes is handed on as it comes, even while nothing is awaited: so a client that leaves is noticed.
- A client that stops reading is dropped; Tornado alone would keep its answer in memory for ever.
- An answer that comes before the request is whole (too large, malformed) arrives: closing a socket
  with unread data in it makes TCP throw the answer away, so the rest is read and dropped for a while.
- TCP_NODELAY, always: every write of ours is a whole message.
"""

import array
import asyncio
import contextlib
import fcntl
import logging
import socket
import termios
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from tornado.iostream import IOStream
from tornado.tcpserver import TCPServer

from portico_facade.listen import waiting

_log: Final = logging.getLogger("portico.facade")

#: Bytes that one read of a socket returns at most.
_READ: Final = 64 * 1024

# Seconds for which the rest of a refused request is read: in all, and without a byte.
_LINGER: Final = 30.0
_LINGER_SILENCE: Final = 2.0


class Served(Protocol):
    """What is served over a connection."""

    @property
    def stream(self) -> "ClientStream":
        """Its socket."""
        ...

    def closed(self) -> None:
        """Hear that the stream is closed."""
        ...


class Server(TCPServer):
    """Tornado's server: it accepts connections, and knows those that are open.

    ``serve`` is told of each; ``patience``: seconds for which a client may take nothing.
    """

    def __init__(self, serve: "Callable[[ClientStream], Served]", patience: float) -> None:
        super().__init__()
        self._serve = serve
        self._patience = patience
        self._connections: set[Served] = set()
        self.lingering: set[asyncio.Task[None]] = set()

    def handle_stream(self, stream: IOStream, address: Any) -> None:  # noqa: ARG002 - Tornado tells it
        """Serve an accepted connection."""
        # Nothing has been read from the stream that Tornado made: its socket changes hands.
        client = ClientStream(stream.socket, self._patience, self.lingering)
        served = self._serve(client)
        self._connections.add(served)

        def closed() -> None:
            self._connections.discard(served)
            served.closed()

        # Once for all requests. With it Tornado listens although nobody reads.
        client.set_close_callback(closed)

    @property
    def connected(self) -> bool:
        """Whether connections are open."""
        return bool(self._connections)

    def leave(self) -> None:
        """Accept the connections that wait for it, and no others from then on."""
        for sock in list(self._sockets.values()):
            for connection, address in waiting(sock):
                self.handle_stream(IOStream(connection), address)
        self.stop()

    async def close_all_connections(self) -> None:
        """Close every connection, the lingering ones too."""
        while self._connections:
            for served in self._connections:
                served.stream.close()
            # Tornado tells of it in the loop's next turn.
            await asyncio.sleep(0)
        for task in self.lingering:
            task.cancel()
        await asyncio.gather(*self.lingering, return_exceptions=True)


class ClientStream(IOStream):
    """The socket of one client. ``patience``: seconds for which the client may take nothing.

    What comes goes to ``receive`` past Tornado's buffer and its futures, which would cost 11 us more a read
    (docs/decisions/0017).
    """

    # Beside what Tornado keeps: with more than 30 attributes an object's dictionary takes 1.2 KiB more.
    __slots__ = (
        *("_held", "_lingering", "_patience", "_pending", "_sent", "_watch", "_withheld"),
        *("linger", "receive"),
    )

    def __init__(self, sock: socket.socket, patience: float, lingering: set[asyncio.Task[None]]) -> None:
        # Tornado's own buffer gets a byte, and that only while this is held.
        super().__init__(sock, read_chunk_size=1)
        self.set_nodelay(True)
        #: Gets what comes, and never nothing.
        self.receive: Callable[[bytes], None] = _drop
        #: Whether to read on after the close, so that the client gets the answer.
        self.linger = False
        self._lingering = lingering
        self._held = self._withheld = False
        self._patience = patience
        # The last write that the socket did not take at once.
        self._pending: asyncio.Future[None] | None = None
        self._sent = 0
        self._watch: asyncio.TimerHandle | None = None

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Hand on what has come, and tell Tornado that nothing has: None. 0: the client has left."""
        if self._held:
            # With something in its buffer that nobody asks for, Tornado listens no more.
            count = super().read_from_fd(buf)
            self._withheld = bool(count)
            return count
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return None
        if not data:
            return 0
        try:
            self.receive(data)
        except Exception:
            # Tornado would tell it in a line, as an error of the socket.
            _log.exception("reading a request failed")
            self.close()
        return None

    def hold(self) -> None:
        """Read no more until ``resume``. Meanwhile a client that leaves is not noticed."""
        self._held = True

    def resume(self) -> bytes:
        """Read on, and return what has been held back."""
        self._held = False
        if not self._withheld:
            return b""
        self._withheld = False
        # Done at once, as Tornado has it.
        return cast("asyncio.Future[bytes]", self.read_bytes(1)).result()

    def send(self, data: bytes) -> bool:
        """Write, without the buffer and the future that ``write`` costs; return whether all is on its way.

        If not, ``await write(b"")`` waits for it. Raises StreamClosedError.
        """
        sent = 0
        # What `closed` and `writing` tell, without their calls: this runs for each token.
        if self.socket is not None and (self._pending is None or self._pending.done()):
            try:
                sent = self.socket.send(data)
            except OSError:
                # The socket is full or broken: `write` knows what to do.
                sent = 0
            if sent == len(data):
                return True
        self._sent += sent
        self._pending = self.write(memoryview(data)[sent:])
        if self._watch is None and self.writing():
            self._watch_progress()
        return False

    def dismiss(self, answer: bytes) -> None:
        """Send a short answer and close, whatever the client still sends."""
        if self.closed():
            return
        with contextlib.suppress(OSError):
            self.socket.send(answer)
        self.linger = True
        self.close()

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

    def close_fd(self) -> None:
        """Close the socket, or let it linger."""
        self.receive = _drop
        if self._watch is not None:
            self._watch.cancel()
        if not self.linger:
            super().close_fd()
            return
        sock, self.socket = self.socket, None  # type: ignore[assignment]
        task = asyncio.get_running_loop().create_task(_linger(sock))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)


def _drop(data: bytes) -> None:
    """Nobody is there for it."""


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
