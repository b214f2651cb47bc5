"""HTTP to one backend: the only module that knows the HTTP library.

Requests go straight to the transport of httpx-aiohttp, without httpx's client, which costs twice as
much again. What that client would add is decided here:

- Time: a connection must be there within ``Limits.connect_seconds``. There is no read timeout: the
  core ends attempts that are silent, and learns from ``alive`` which are not.
- TLS certificates are verified, against certifi's or those that SSL_CERT_FILE or SSL_CERT_DIR name.
- Proxies come from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read when the client is made.
- Redirects are not followed, cookies not kept, ~/.netrc not read.
- Answers are asked for as they are (``accept-encoding: identity``); a compressed one is an error.
- A request whose kept connection turns out to be closed goes over another one, provided that not a
  byte of it was sent. (The library repeats a GET in any case.) Whether to repeat what may have been
  served is the core's affair.
"""

import asyncio
import functools
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

import aiohttp

# httpx2, the maintained successor of httpx, has the same API: `import httpx2 as httpx`, and the
# transport from httpx_aiohttp.httpx2.
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport

from portico.adapter import Limits
from portico.errors import SERVER, ErrorClass, GatewayError, internal, upstream_failed, upstream_silent
from portico.v1.headers_pb2 import Header

# Shorter than the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) hang up: a request that
# meets their close on the way fails.
_IDLE_SECONDS: Final = 4.0

# How long an answer may take to end after its last word. The caller waits that long for nothing.
_FINISH_SECONDS: Final = 0.2

# What is read of an error's body: much of an error page helps nobody.
_ERROR_BYTES: Final = 64 * 1024

# How much of a request is handed to the socket at once.
_PIECE: Final = 64 * 1024

_Headers = list[tuple[bytes, bytes]]


class HttpClient:
    """Keeps connections to the server of ``base_url`` and sends ``headers`` with each request."""

    def __init__(self, base_url: str, headers: Mapping[str, str], limits: Limits) -> None:
        """Open nothing yet; no loop need run. Raise ValueError where ``base_url`` is no HTTP URL."""
        url = httpx.URL(base_url.rstrip("/"))
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"not an http or https URL: {base_url}")
        self._base = str(url)
        proxy = _proxy(url)
        # Inside TLS only the CONNECT is for the proxy to read, and the transport sees to that.
        for_proxy = proxy.headers if proxy is not None and url.scheme == "http" else {}
        self._headers = _encoded({"accept-encoding": "identity", **headers, **for_proxy})
        self._limits = limits
        # For the library "pool" is all that comes before a connection can be used, DNS included.
        self._timeout = {"connect": limits.connect_seconds, "pool": limits.connect_seconds}
        self._slots = asyncio.Semaphore(limits.connections)
        self._transport = AiohttpTransport(verify=_tls(), proxy=proxy, client=_session)

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        alive: Callable[[], None],
    ) -> "Answer":
        """Send a request and return when the answer's headers are there.

        ``alive`` is called then and at each read. Cancelling breaks the connection off at once.
        Whatever fails raises GatewayError; an answer with an error's status does not.
        """
        length = {"content-length": str(len(body))} if body else {}
        await self._take_slot()
        try:
            response = await self._exchange(method, path, _encoded({**headers, **length}), body)
        except BaseException as error:
            self._slots.release()
            if isinstance(error, Exception):
                raise _failure(error) from error
            raise
        answer = Answer(response, self._limits.answer_bytes, alive, self._slots.release)
        alive()
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            async with answer:
                raise upstream_failed("The backend compressed its answer unasked.", f"as {encoding}")
        return answer

    async def _exchange(
        self, method: str, path: str, headers: _Headers, body: bytes, *, again: bool = True
    ) -> httpx.Response:
        upload = _Upload(body)
        request = httpx.Request(
            method,
            _url(self._base + path),
            headers=self._headers + headers,
            stream=upload if body else None,
            extensions={"timeout": self._timeout},
        )
        try:
            return await self._transport.handle_async_request(request)
        except Exception as error:
            if again and upload.pieces <= 1 and _never_written(error):
                return await self._exchange(method, path, headers, body, again=False)
            raise

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._transport.aclose()

    async def _take_slot(self) -> None:
        seconds = self._limits.connect_seconds
        try:
            async with asyncio.timeout(seconds if self._slots.locked() else None):
                await self._slots.acquire()
        except TimeoutError:
            message = "All of the gateway's connections to the backend are in use."
            detail = f"none of {self._limits.connections} came free within {seconds:g} s"
            raise GatewayError(
                ErrorClass.CAPACITY, 503, message, SERVER, "overloaded", detail=detail
            ) from None


class Answer:
    """An answer whose headers are there; iterate over it for the body as it arrives.

    Leave its ``async with`` block in any case: before the end of the body that breaks the connection
    off, after it the connection serves the next request.
    """

    def __init__(
        self, response: httpx.Response, limit: int, alive: Callable[[], None], release: Callable[[], None]
    ) -> None:
        self.status = response.status_code
        self._headers = response.headers
        stream: Any = response.stream
        self._stream = stream
        self._reads: AsyncGenerator[bytes, None] = stream.__aiter__()
        self._limit = limit
        self._alive = alive
        self._release = release

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty where there is none."""
        value: str = self._headers.get("content-type", "")
        return value.partition(";")[0].strip().lower()

    @property
    def headers(self) -> list[Header]:
        """All headers, their names in lower case."""
        return self.picked("")

    def picked(self, *beginnings: str) -> list[Header]:
        """Return the headers whose names, in lower case, begin in one of these ways."""
        wanted = tuple(beginning.encode() for beginning in beginnings)
        return [
            Header(name=name.decode("ascii").lower(), value=value)
            for name, value in self._headers.raw
            if name.lower().startswith(wanted)
        ]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return what one read brings: at most 16 KiB."""
        try:
            data = await anext(self._reads)
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise _failure(error, in_body=True) from error
        self._alive()
        return data

    async def read(self) -> bytes:
        """Return the whole body; raise GatewayError where it is larger than ``Limits.answer_bytes``."""
        pieces, size = [], 0
        async for data in self:
            pieces.append(data)
            size += len(data)
            if size > self._limit:
                raise upstream_failed(
                    "The backend's answer is larger than this gateway takes.", f"over {self._limit} bytes"
                )
        return b"".join(pieces)

    async def read_error(self) -> bytes:
        """Return the body of an error, its first 64 KiB at most, or as much as comes."""
        body = b""
        with suppress(GatewayError):
            async for data in self:
                body += data
                if len(body) >= _ERROR_BYTES:
                    break
        return body[:_ERROR_BYTES]

    async def finish(self) -> None:
        """Read what follows the part that counts, for a moment: then the connection is kept."""
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                async for _ in self:
                    pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._reads.aclose()
            await self._stream.aclose()
        finally:
            self._release()


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


class _Response(aiohttp.ClientResponse):
    """Breaks off at once what is not read to its end.

    The library would first send what is left of the request, and wait for the other side of TLS.
    """

    def close(self) -> None:
        transport = self.connection.transport if self.connection is not None else None
        super().close()
        if transport is not None:
            transport.abort()

    def release(self) -> Any:
        # The connection is given back at the end of the body: whoever still has one is before it.
        if self.connection is not None:
            self.close()
        return super().release()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # HttpClient counts the connections itself, to tell "none is free" from "none can be had".
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS, ssl=_tls()),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_Response,
        skip_auto_headers=("accept", "content-type", "user-agent"),
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for ``url``."""
    found = getproxies()
    address = found.get(url.scheme) or found.get("all")
    if not address or proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxy = httpx.URL(address if "://" in address else f"http://{address}")
    if proxy.scheme not in ("http", "https"):
        raise ValueError(f"the environment names a {proxy.scheme} proxy; only http and https ones serve")
    headers = {}
    if proxy.userinfo:
        headers["proxy-authorization"] = "Basic " + b64encode(unquote_to_bytes(proxy.userinfo)).decode()
    return httpx.Proxy(proxy.copy_with(userinfo=b""), headers=headers)


@functools.lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    # To parse one costs a tenth of a request, and there are few.
    return httpx.URL(text)


def _encoded(headers: Mapping[str, str]) -> _Headers:
    return [(name.lower().encode("ascii"), value.encode()) for name, value in headers.items()]


_BROKE_OFF: Final = "The backend broke off in the middle of its answer."
_NO_ANSWER: Final = "The backend closed the connection without an answer."

# Which exception of the libraries says what; the first row that fits counts. The transport wraps most
# of them in httpx's, some in the wrong ones, and keeps the original as the cause.
_FAILURES: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((aiohttp.ClientConnectorDNSError,), "The backend's address cannot be resolved."),
    (
        (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
        "The proxy in front of the backend refused the connection.",
    ),
    ((aiohttp.ClientSSLError, ssl.SSLError), "The backend's TLS handshake failed."),
    ((aiohttp.ClientConnectorError,), "The backend cannot be reached."),
    ((aiohttp.ClientResponseError, HttpProcessingError), "The backend's answer is not valid HTTP."),
    ((aiohttp.ClientPayloadError,), _BROKE_OFF),
    ((aiohttp.ClientConnectionError, OSError), _NO_ANSWER),
)


def _never_written(error: BaseException | None) -> bool:
    """Whether the first write found the connection closed, so that the backend saw nothing of it."""
    while error is not None:
        if isinstance(error, aiohttp.ClientConnectionResetError) and "closing transport" in str(error):
            return True
        error = error.__cause__
    return False


def _failure(error: Exception, *, in_body: bool = False) -> GatewayError:
    """Turn any exception of the libraries into a GatewayError, the one place that does."""
    cause = error.__cause__ or error
    detail = " ".join(f"{type(cause).__name__}: {cause}".split())
    if isinstance(cause, TimeoutError):
        return upstream_silent("The backend did not accept a connection in time.", detail)
    for types, message in _FAILURES:
        if isinstance(cause, types):
            return upstream_failed(_BROKE_OFF if in_body and message is _NO_ANSWER else message, detail)
    return internal(detail)
