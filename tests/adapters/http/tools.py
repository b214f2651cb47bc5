"""What the tests of HTTP share: a client, a certificate, a server that does not read."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, cast

import tornado

from portico.adapter import Limits
from portico_adapters._http import HttpClient

_ESTABLISHED = 1

# Tornado ships a certificate and its key for tests like ours.
_CERTIFICATE = Path(tornado.__file__).parent / "test" / "test.crt"


@asynccontextmanager
async def client(url: str, limits: Limits | None = None) -> AsyncIterator[HttpClient]:
    """Yield a client that is closed in the end."""
    http = HttpClient(url, {"x-always": "1"}, limits or Limits())
    try:
        yield http
    finally:
        await http.aclose()


async def post(http: HttpClient, body: bytes = b"{}", alive: Callable[[], None] = lambda: None) -> bytes:
    """Send a request and read its answer."""
    with await http.send("POST", "/x", {"x-once": "2"}, body, alive=alive) as answer:
        return await answer.read()


def server_tls() -> ssl.SSLContext:
    """Return what a server with a certificate of its own needs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(_CERTIFICATE, _CERTIFICATE.with_suffix(".key"))
    return context


def trusting_tls() -> ssl.SSLContext:
    """Return what a client that trusts that certificate needs."""
    context = ssl.create_default_context(cafile=_CERTIFICATE)
    context.check_hostname = False
    return context


class StuckServer(asyncio.Protocol):
    """Stops reading after the first bytes of a request."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.stuck = asyncio.Event()
        self._lost = asyncio.Event()
        self._received = 0

    async def rest(self) -> int:
        """Read on, to the end of the connection; return how many bytes came in all."""
        self._transport.resume_reading()
        async with asyncio.timeout(5):
            await self._lost.wait()
        return self._received

    async def hung_up(self) -> None:
        """Wait until TCP knows that the client's side has closed; nothing is read for that."""
        connection = self._transport.get_extra_info("socket")
        # The first byte of tcp_info (Linux) is the state of the connection; no event tells of it.
        while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if not self.stuck.is_set():
            self._transport.pause_reading()
            self.stuck.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost.set()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve connections, which stay open until the end or ``handle`` ends them; yield the server's URL."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await handle(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()


def end_tcp(writer: asyncio.StreamWriter) -> None:
    """Send FIN and nothing before it, also where TLS would say goodbye."""
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as beneath:
        beneath.shutdown(socket.SHUT_WR)
