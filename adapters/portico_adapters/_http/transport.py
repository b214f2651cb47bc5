"""Requests to one server, over connections that are kept for the next ones."""

import asyncio
import functools
from collections.abc import Mapping
from time import monotonic
from typing import Final
from urllib.parse import quote, urlsplit

from portico_adapters._http.connection import Connection
from portico_adapters._http.failures import BrokenOffError
from portico_adapters._http.opening import open_connection
from portico_adapters._http.origin import origin_of
from portico_adapters._http.proxies import proxy_for

# Shorter than the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) hang up: a request that
# meets their close on the way fails.
_IDLE_SECONDS: Final = 4.0

# Everything that a URL may hold as it is (RFC 3986); what is quoted already stays so.
_AS_WRITTEN: Final = "!#$%&'()*+,-./:;=?@[]_~"


class Transport:
    """Sends requests below one URL, with its own headers on each."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connect_seconds: float) -> None:
        """Open nothing yet; no loop need run. Raise ValueError where ``base_url`` is no HTTP URL."""
        url = urlsplit(base_url.rstrip("/"))
        try:
            self.origin = origin_of(url)
        except ValueError as error:
            raise ValueError(f"not an http or https URL: {base_url}") from error
        self._proxy = proxy_for(url)
        self._connect_seconds = connect_seconds
        own = {"host": self.origin.named, "accept-encoding": "identity", **headers}
        self._base = url.path
        if self._proxy is not None and not self.origin.secure:
            # Inside TLS only the CONNECT is for the proxy to read.
            self._base = f"http://{self.origin.named}{url.path}"
            if self._proxy.authorization:
                own["proxy-authorization"] = self._proxy.authorization
        self._headers = _lines(own)
        #: Those that are kept, with the times at which they came back; the newest last.
        self._idle: list[tuple[float, Connection]] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Connection:
        """Send a request; return its connection once the head of the answer is there.

        Give it back with ``release``. Raises what ``failures`` knows, and ValueError for what cannot stand
        in a header.
        """
        length = f"content-length: {len(body)}\r\n" if body or method == "POST" else ""
        target = _quoted(self._base + path)
        head = f"{method} {target} HTTP/1.1\r\n{self._headers}{_lines(headers)}{length}\r\n".encode()
        kept = self._kept()
        connection = kept or await self._new()
        try:
            await connection.send(head, body)
        except BrokenOffError:
            connection.close()
            if kept is None or method != "GET":
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection
        # It was closed as we took it. A GET changes nothing; a POST may have been served.
        self.close()
        return await self.exchange(method, path, headers, body)

    def release(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it where it cannot serve one."""
        if not connection.usable:
            connection.close()
            return
        self._idle.append((monotonic(), connection))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._close_old)

    def close(self) -> None:
        """Close the kept connections."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for _, connection in self._idle:
            connection.close()
        self._idle.clear()

    def _kept(self) -> Connection | None:
        # The newest first, so that those which are not needed grow old.
        while self._idle:
            since, connection = self._idle.pop()
            if monotonic() - since < _IDLE_SECONDS and connection.untouched():
                return connection
            connection.close()
        return None

    async def _new(self) -> Connection:
        async with asyncio.timeout(self._connect_seconds):
            return await open_connection(self.origin, self._proxy)

    def _close_old(self) -> None:
        """Close what has been kept for long. One timer serves all: it looks back when it fires."""
        now = monotonic()
        eldest = now - _IDLE_SECONDS
        young = [each for each in self._idle if each[0] > eldest]
        for _, connection in self._idle[: len(self._idle) - len(young)]:
            connection.close()
        self._idle = young
        self._sweep = None
        if young:
            left = young[0][0] + _IDLE_SECONDS - now
            self._sweep = asyncio.get_running_loop().call_later(left, self._close_old)


@functools.lru_cache(maxsize=1024)
def _quoted(target: str) -> str:
    # There are few, and to look at each costs.
    return quote(target, safe=_AS_WRITTEN)


def _lines(headers: Mapping[str, str]) -> str:
    """Return headers as they are sent; raise ValueError for what would be more than one line."""
    lines = ""
    for name, value in headers.items():
        lines += f"{name}: {value}\r\n"
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header with a line break")
    return lines
