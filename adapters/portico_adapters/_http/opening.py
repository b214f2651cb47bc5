"""How a connection to a backend is opened: directly, or through a proxy."""

import asyncio
import contextlib
import functools
import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final, TypeVar, cast

import aiohappyeyeballs
import certifi
from aiohappyeyeballs import SocketFactoryType

from portico_adapters._http.connection import Connection
from portico_adapters._http.failures import ProxyError
from portico_adapters._http.origin import Origin
from portico_adapters._http.proxies import Proxy

# Seconds after which the next address of a name is tried beside the last (RFC 8305).
_NEXT_ADDRESS: Final = 0.25

# Bytes of a proxy's answer to CONNECT.
_PROXY_HEAD: Final = 16 * 1024

P = TypeVar("P", bound=asyncio.Protocol)

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")


async def open_connection(origin: Origin, proxy: Proxy | None) -> Connection:
    """Return a connection over which ``origin``, or the proxy that reads plain requests, takes requests.

    Raises what ``failures`` knows. The time it takes is the caller's to bound.
    """
    loop = asyncio.get_running_loop()
    if proxy is not None and origin.secure:
        return await _through_tunnel(origin, proxy)
    if proxy is not None:
        with _blaming_the_proxy():
            return await connect(proxy.origin, Connection(loop))
    return await connect(origin, Connection(loop))


@functools.cache
def tls() -> ssl.SSLContext:
    """Return what every connection is verified by: certifi's roots, or those that the environment names."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or not folder:
        context = ssl.create_default_context(cafile=file or certifi.where())
    else:
        context = ssl.create_default_context(capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(origin: Origin, protocol: P, make_socket: SocketFactoryType | None = None) -> P:
    """Connect ``protocol`` with a server, by TLS where ``origin`` says so.

    With ``make_socket`` one address of a name is tried after the other, and what it raises but OSError ends
    that: racing them would hide why one is refused.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    sock = await aiohappyeyeballs.start_connection(
        addresses,
        happy_eyeballs_delay=None if make_socket else _NEXT_ADDRESS,
        socket_factory=make_socket,
    )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context, name = (tls(), _name_in_tls(origin)) if origin.secure else (None, None)
    await loop.create_connection(lambda: protocol, sock=sock, ssl=context, server_hostname=name)
    return protocol


async def _through_tunnel(origin: Origin, proxy: Proxy) -> Connection:
    """CONNECT (RFC 9110, 9.3.6), then TLS with the backend inside of it."""
    loop = asyncio.get_running_loop()
    connection, asking = Connection(loop), _Connect(loop)
    with _blaming_the_proxy():
        await connect(proxy.origin, asking)
    try:
        with _blaming_the_proxy():
            await asking.ask(origin, proxy.authorization)
        name = _name_in_tls(origin)
        inner = await loop.start_tls(asking.transport, connection, tls(), server_hostname=name)
        if inner is None or inner.is_closing():
            raise ProxyError("it closed the tunnel")
    except BaseException:
        asking.transport.abort()
        raise
    connection.connection_made(inner)
    return connection


def _name_in_tls(origin: Origin) -> str:
    # Certificates name hosts without the dot that keeps resolvers from searching (RFC 6066, 3).
    return origin.host.removesuffix(".")


@contextlib.contextmanager
def _blaming_the_proxy() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise ProxyError(str(error)) from error


class _Connect(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: asyncio.Transport
        self._head = b""
        self._answer: asyncio.Future[bytes] = loop.create_future()

    async def ask(self, origin: Origin, authorization: str) -> None:
        """Return once there is a tunnel; raise ProxyError where the proxy refuses."""
        for_proxy = f"proxy-authorization: {authorization}\r\n" if authorization else ""
        head = f"CONNECT {origin.authority} HTTP/1.1\r\nhost: {origin.authority}\r\n{for_proxy}\r\n"
        self.transport.write(head.encode("ascii"))
        status = _STATUS.match(await self._answer)
        if status is None or not status[1].startswith(b"2"):
            raise ProxyError(f"it answered with {self._head[:64]!r}")
        if self.transport.is_closing():
            # TLS would wait for an answer until its time is up.
            raise ProxyError("it closed the tunnel")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._settle()
        elif len(self._head) > _PROXY_HEAD:
            self.transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._settle()

    def _settle(self) -> None:
        if not self._answer.done():
            self._answer.set_result(self._head)
