"""Server-sent events to one client (the HTML standard, section 9.2)."""

import asyncio
from collections.abc import Awaitable
from typing import Final, cast

from tornado.http1connection import HTTP1Connection

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
        self._connection = cast("HTTP1Connection", handler.request.connection)
        self._client = handler.client
        # What Tornado decides too, when it writes the headers.
        self._chunked = handler.request.version == "HTTP/1.1"
        self._ping = ping
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._timer = self._loop.call_at(self._last_write + ping, self._look_back)
        self.begun = False

    def send(self, block: bytes) -> Awaitable[None] | None:
        """Write whole events. Await what is returned, if anything: the client is slower than we are."""
        self._last_write = self._loop.time()
        if not self.begun:
            self._begin(block)
        elif block:
            self._handler.sent_bytes += len(block)
            if self._client.send(b"%x\r\n%b\r\n" % (len(block), block) if self._chunked else block):
                return None
        return self._client.write(b"") if self._client.writing() else None

    def _begin(self, block: bytes) -> None:
        handler = self._handler
        self.begun = True
        handler.set_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.set_header("Cache-Control", "no-cache")
        # nginx would otherwise hold the events back.
        handler.set_header("X-Accel-Buffering", "no")
        handler.stamp()
        if not self._chunked:
            # The client knows the end by the close alone, and Tornado would promise to keep alive.
            handler.request.headers.pop("Connection", None)
        handler.sent_bytes += len(block)
        handler.write(block)
        handler.flush()

    def end(self, block: bytes) -> None:
        """Write the last events and end the answer."""
        self.close()
        if not self.begun:
            self._begin(b"")
        self._handler.finish(block)
        if not self._chunked:
            self._client.write(b"").add_done_callback(lambda _: self._connection.close())

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
