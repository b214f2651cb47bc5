"""A facade in the test's own loop, and clients that show every byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tornado.netutil import bind_sockets

from portico.testing.gateway import FakeGateway
from portico_facade.app import FacadeApplication, make_app
from portico_facade.config import Settings
from portico_facade.connection import Server
from portico_facade.server import IDLE, make_server

#: Longer than anything here takes; a test that waits so long has failed.
PATIENCE = 10.0


@dataclass
class Facade:
    """A running facade in front of a scripted gateway."""

    gateway: FakeGateway
    app: FacadeApplication
    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator["Client"]:
        """Open a connection."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                yield Client(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> "Answer":
        """Send one request on a connection of its own; ``body`` is made JSON unless it is bytes."""
        async with self.connect() as client:
            client.send(method, path, body, **headers)
            return await client.answer(method)


@contextlib.asynccontextmanager
async def facade(gateway: FakeGateway, idle: float = IDLE, **settings: Any) -> AsyncIterator[Facade]:
    """Run a facade; ``settings`` are those of ``Settings``."""
    app = make_app(gateway, Settings(**settings))
    server = make_server(app, idle)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    try:
        yield Facade(gateway, app, server, port)
    finally:
        server.stop()
        await server.close_all_connections()
        # Handlers that were waiting for the gateway hear of the close in the loop's next turns.
        async with asyncio.timeout(PATIENCE):
            await app.facade.idle()


@dataclass
class Answer:
    """An answer as it was on the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: The chunks of a chunked body: what the server wrote at once.
    chunks: list[bytes] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails where the body is not exactly OpenAI's."""
        body = self.json
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert self.headers["content-type"] == "application/json"
        found: dict[str, Any] = body["error"]
        return found

    @property
    def events(self) -> list[Any]:
        """The data of every event, parsed; "[DONE]" as it is."""
        events = [event for event in self.body.decode().split("\n\n") if event.startswith("data: ")]
        return [event if event == "[DONE]" else json.loads(event) for event in (e[6:] for e in events)]


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, body: Any = None, version: str = "1.1", **headers: str) -> None:
        """Send a request. ``_`` in a header's name stands for ``-``."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"host": "portico", "content-length": str(len(data))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if "transfer-encoding" in named:
            del named["content-length"]
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.writer.write(f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode("latin-1") + data)

    async def head(self) -> Answer:
        """Read a status line and headers."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines if line)
        return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, b"")

    async def chunk(self) -> bytes:
        """Read a chunk of a chunked body; the last one is empty."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def answer(self, method: str = "GET") -> Answer:
        """Read a whole answer."""
        answer = await self.head()
        if answer.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.chunk():
                answer.chunks.append(chunk)
            answer.body = b"".join(answer.chunks)
        elif method != "HEAD" and answer.status != 204:
            length = answer.headers.get("content-length")
            answer.body = (
                await self.reader.read() if length is None else await self.reader.readexactly(int(length))
            )
        return answer

    async def closed(self) -> bool:
        """Wait for the server to close, dropping what it still sends."""
        with contextlib.suppress(ConnectionResetError):
            while await self.reader.read(65536):
                pass
        return True
