"""The HTTP library at work: one request and the connections that are kept.

httpx2, the maintained successor of httpx, has the same API: ``import httpx2 as httpx``, and the
transport from ``httpx_aiohttp.httpx2``.
"""

import asyncio
import functools
import os
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from portico_adapters._http.failures import never_written

Response: TypeAlias = httpx.Response

# Shorter than the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) hang up: a request that
# meets their close on the way fails.
_IDLE_SECONDS: Final = 4.0

# How much of a request is handed to the socket at once.
_PIECE: Final = 64 * 1024


class Transport:
    """Sends requests below one URL, with its own headers on each."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connect_seconds: float) -> None:
        url = httpx.URL(base_url.rstrip("/"))
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"not an http or https URL: {base_url}")
        proxy = _proxy(url)
        # Inside TLS only the CONNECT is for the proxy to read, and the library sees to that.
        for_proxy = proxy.headers if proxy is not None and url.scheme == "http" else {}
        self._base = str(url)
        self._headers = _encoded({"accept-encoding": "identity", **headers, **for_proxy})
        # For the library "pool" is all that comes before a connection can be used, DNS included.
        self._extensions = {"timeout": {"connect": connect_seconds, "pool": connect_seconds}}
        self._library = AiohttpTransport(verify=tls(), proxy=proxy, client=_session)

    async def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, again: bool = True
    ) -> Response:
        """Return the response when its headers are there; raise what the libraries raise."""
        upload = _Upload(body) if body else None
        length = {"content-length": str(len(body))} if body else {}
        request = httpx.Request(
            method,
            _url(self._base + path),
            headers=self._headers + _encoded({**headers, **length}),
            stream=upload,
            extensions=self._extensions,
        )
        try:
            return await self._library.handle_async_request(request)
        except Exception as error:
            unsent = (upload is None or upload.pieces <= 1) and never_written(error)
            if again and unsent:
                return await self.exchange(method, path, headers, body, again=False)
            raise

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._library.aclose()


class _Upload(httpx.AsyncByteStream):
    """A request's body in pieces, so that a slow backend fills no buffer with all of it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        #: How many were asked for.
        self.pieces = 0

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._body), _PIECE):
            self.pieces += 1
            yield self._body[start : start + _PIECE]


class _Protocol(ResponseHandler):
    """The library's side of a connection, mended in two places."""

    def close(self) -> None:
        # Else it would first send what is left of the request, and wait for the other side of TLS.
        self.abort()

    def data_received(self, data: bytes) -> None:
        body = self._payload
        super().data_received(data)
        error = self.exception()
        # Else whoever reads a body whose framing breaks would wait for ever (aiohttp 3.14).
        if body is not None and isinstance(error, HttpProcessingError):
            body.set_exception(error)


def _session() -> aiohttp.ClientSession:
    # HttpClient bounds the connections itself, to tell "none is free" from "none can be had".
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, ssl=tls())
    protocol: type[ResponseHandler] = _Protocol
    connector._factory = functools.partial(protocol, loop=asyncio.get_running_loop())
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("accept", "content-type", "user-agent"),
    )
    # Else it would write %3A as a colon, and a path that was signed would be another one.
    as_written: Callable[..., URL] = functools.partial(URL, encoded=True)
    session._build_url = as_written  # type: ignore[method-assign]
    return session


@functools.cache
def tls() -> ssl.SSLContext:
    """Return what every connection is verified by."""
    return httpx.create_ssl_context()


def _proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for ``url``."""
    found = getproxies()
    kind = url.scheme if found.get(url.scheme) else "all"
    address = found.get(kind)
    if not address or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxy = httpx.URL(address if "://" in address else f"http://{address}")
    if proxy.scheme not in ("http", "https"):
        variable = next((name for name in os.environ if name.lower() == f"{kind}_proxy"), "the system")
        raise ValueError(f"{variable} names a {proxy.scheme} proxy; only http and https ones serve")
    headers = {}
    if proxy.userinfo:
        headers["proxy-authorization"] = "Basic " + b64encode(unquote_to_bytes(proxy.userinfo)).decode()
    return httpx.Proxy(proxy.copy_with(userinfo=b""), headers=headers)


@functools.lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    # To parse one costs a tenth of a request, and there are few.
    return httpx.URL(text)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("ascii"), value.encode()) for name, value in headers.items()]
