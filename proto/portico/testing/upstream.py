"""A scripted HTTP server: serves given wire bytes, records requests and how connections end.

It stands in for a backend where adapters, failures and cancellation are tested::

    async with Upstream(answer(b"{...}")) as upstream:
        ...  # call an adapter whose URL is upstream.url
        assert upstream.requests[0].path == "/v1/chat/completions"
        await upstream.closed()
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import AF_INET, SO_LINGER, SOCK_STREAM, SOL_SOCKET, socket
from struct import pack
from types import TracebackType
from typing import Any, Self, cast

from portico.testing.watch import Watch
from portico.testing.wire import End, Pause, Script, Step, answer


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    #: Names in lower case; the last one where a name is repeated.
    headers: dict[str, str]
    body: bytes
    #: Number of the connection that it came over, from 0.
    connection: int

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


@contextmanager
def refusing() -> Iterator[str]:
    """Yield a URL on which every connection is refused."""
    with socket(AF_INET, SOCK_STREAM) as bound:
        # Bound, so that nobody else gets the port; not listening.
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


#: A script, or a function that chooses one for a request.
Answerer = Script | Callable[[Request], Script]


class Upstream:
    """Serves one script per request, in the order given; the last one serves all that follow."""

    def __init__(self, *answers: Answerer, tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._connections: list[_Connection] = []
        self._watch = Watch()
        self._server: asyncio.Server | None = None
        self._port = 0
        #: Every request so far, in order of arrival.
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT`` (https with ``tls``), without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def serve(self, *answers: Answerer) -> None:
        """Replace the scripts for the requests to come."""
        self._answers = list(answers)

    @property
    def connections(self) -> int:
        """How many connections were ever made."""
        return len(self._connections)

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return sum(not connection.gone for connection in self._connections)

    async def received(self, count: int = 1) -> Request:
        """Wait until ``count`` requests have arrived; return the last of them."""
        await self._watch.until(lambda: len(self.requests) >= count, f"{count} requests at the upstream")
        return self.requests[count - 1]

    async def closed(self, connection: int | None = None) -> None:
        """Wait until the connection of this number is closed. None: all that were made."""
        await self._watch.until(
            lambda: (
                self.open_connections == 0
                if connection is None
                else connection < self.connections and self._connections[connection].gone
            ),
            "the upstream's connections to be closed",
        )

    def stop_listening(self) -> None:
        """Refuse new connections from now on; open ones stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def break_off(self) -> None:
        """Reset every connection and refuse new ones, as when the server's process is killed."""
        self.stop_listening()
        for connection in self._connections:
            connection.reset()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", 0, backlog=1024, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_listening()
        for connection in self._connections:
            connection.abort()
        await self.closed()

    def _connect(self) -> "_Connection":
        return _Connection(self._connections, self._choose, self._watch.changed)

    def _choose(self, request: Request) -> Script:
        self.requests.append(request)
        self._watch.changed()
        if not self._answers:
            return answer(b"the upstream has no script", 500, content_type="text/plain")
        chosen = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return chosen(request) if callable(chosen) else chosen


class _Connection(asyncio.Protocol):
    """Reads requests all the time, so that a client's close is seen at once, and runs their scripts."""

    def __init__(
        self,
        made: list["_Connection"],
        choose: Callable[[Request], Script],
        changed: Callable[[], None],
    ) -> None:
        self._made = made
        self._number = -1
        self._choose = choose
        self._changed = changed
        self._reader = asyncio.StreamReader()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        return self._gone.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not sooner: where the TLS handshake fails there never was one.
        self._number = len(self._made)
        self._made.append(self)
        self._transport = cast("asyncio.Transport", transport)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._reader.feed_data(data)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self._gone.set()
        self._changed()
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def reset(self) -> None:
        if not self.gone:
            # To linger for 0 seconds means: send RST.
            self._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
            self._transport.abort()

    async def _serve(self) -> None:
        while True:
            script = self._choose(await self._request())
            for step in script:
                await self._do(step)

    async def _request(self) -> Request:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])
        }
        if "chunked" in headers.get("transfer-encoding", ""):
            body = await self._chunked()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body, self._number)

    async def _chunked(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body

    async def _do(self, step: Step) -> None:
        if isinstance(step, bytes):
            self._transport.write(step)
            await self._writable.wait()
            # Let a reader in this process take the piece before the next one is written.
            await asyncio.sleep(0)
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, End):
            if step is End.CLOSE:
                self._transport.close()
            elif step is End.RESET:
                self.reset()
            await self._gone.wait()
        else:
            step()
