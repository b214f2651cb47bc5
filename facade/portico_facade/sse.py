"""Server-sent events to one client (the HTML standard, section 9.2)."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from portico_facade.handler import Handler

# A comment, which clients skip. Load balancers count its bytes.
_PING: Final = b": ping\n\n"


class EventStream:
    """Writes blocks of events at once, and a comment after ``ping`` seconds without any.

    The first write, be it a comment, sends the headers: from then on the status is 200, and what fails
    is told by an event. The stream holds one timer, which looks back rather than being moved ahead by
    every write.
    """

    def __init__(self, handler: Handler, ping: float) -> None:
        self._handler = handler
        self._client = handler.client
        # A client of HTTP/1.0 knows the end by the close alone.
        self._chunked = handler.request.version == "HTTP/1.1"
        self._ping = ping
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._timer = self._loop.call_at(self._last_write + ping, self._look_back)

    def send(self, block: bytes) -> Awaitable[None] | None:
        """Write whole events. Await what is returned, if anything: the client is slower than we are."""
        self._last_write = self._loop.time()
        data = self._framed(block)
        if not self._handler.begun:
            data = self._head() + data
        elif not block:
            return None
        self._handler.sent_bytes += len(block)
        return None if self._client.send(data) else self._client.write(b"")

    def end(self, block: bytes) -> None:
        """Write the last events and end the answer."""
        self.close()
        data = self._framed(block)
        if not self._handler.begun:
            data = self._head() + data
        self._handler.sent_bytes += len(block)
        self._handler.end(data + b"0\r\n\r\n" if self._chunked else data)

    def _head(self) -> bytes:
        headers = self._handler.headers
        headers["Content-Type"] = "text/event-stream; charset=utf-8"
        headers["Cache-Control"] = "no-cache"
        # nginx would otherwise hold the events back.
        headers["X-Accel-Buffering"] = "no"
        self._handler.ends_connection = not self._chunked
        return self._handler.opening(("Transfer-Encoding", "chunked") if self._chunked else None)

    def _framed(self, block: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(block), block) if self._chunked and block else block

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _look_back(self) -> None:
        due = self._last_write + self._ping
        now = self._loop.time()
        if now >= due:
            due = now + self._ping
            if not self._client.closed():
                self.send(_PING)
        self._timer = self._loop.call_at(due, self._look_back)
