"""httpx's requests over connections of our own, each of which goes where it may and serves one request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import httpx
from aiohappyeyeballs import AddrInfoType

from portico_adapters._http.connection import Connection
from portico_adapters._http.opening import connect
from portico_adapters._http.origin import PORTS, Origin


class NotAllowedError(Exception):
    """A connection would go where it may not."""


class OpenWeb(httpx.AsyncBaseTransport):
    """``may_connect``: whether a connection to an address and a port is allowed. No proxy is asked.

    Raises NotAllowedError, and what ``failures`` knows. The time it takes is the caller's to bound.
    """

    def __init__(self, may_connect: Callable[[str, int], bool]) -> None:
        self._may_connect = may_connect

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without a body; close the answer to close its connection."""
        url = request.url
        host, port = url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]
        connection = Connection(asyncio.get_running_loop())
        await connect(Origin(url.scheme == "https", host, port), connection, self._socket)
        try:
            await connection.send(_head(request), b"")
        except BaseException:
            connection.close()
            raise
        return httpx.Response(connection.status, headers=connection.headers, stream=_Body(connection))

    def _socket(self, told: AddrInfoType) -> socket.socket:
        """Make the socket of a connection, where it may go."""
        family, kind, protocol, _, address = told
        if not self._may_connect(str(address[0]), int(address[1])):
            raise NotAllowedError
        return socket.socket(family, kind, protocol)


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._connection.read():
            yield data

    async def aclose(self) -> None:
        self._connection.close()


def _head(request: httpx.Request) -> bytes:
    first = b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)
    return b"\r\n".join([first, *[b"%s: %s" % pair for pair in request.headers.raw], b"", b""])
