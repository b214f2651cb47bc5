"""Fetching what a caller names by its URL, without trusting the caller, the URL or the server.

- Every connection is checked when its socket is made, by the very address that it goes to: neither a name
  that resolves twice in two ways nor a redirect gets around that.
- No proxy, no cookies, no credentials, none of the caller's headers.
- Redirects are followed a few times, each like a URL of its own.
- Nothing is decompressed.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from portico_adapters._http.addresses import is_public
from portico_adapters._http.opening import tls

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 3
_CONNECTIONS: Final = 16
_PIECE: Final = 64 * 1024


class UnfetchableError(Exception):
    """Why something cannot be fetched, for the caller to read."""


class _NotPublicError(Exception):
    pass


@dataclass(slots=True)
class Budget:
    """Bytes that may still be taken, of one file and of all together."""

    each: int
    total: int

    def take(self, size: int, *, so_far: int) -> None:
        """Note ``size`` bytes more of a file of which ``so_far`` have come; raise where that is too much."""
        self.total -= size
        if so_far + size > self.each:
            raise UnfetchableError(f"it is larger than {self.each} bytes")
        if self.total < 0:
            raise UnfetchableError("together the files of this request are too large")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found."""

    #: In lower case, without parameters.
    media_type: str
    data: bytes


class Fetcher:
    """Fetches images and files. ``may_connect``: whether a connection to an address and a port is allowed."""

    def __init__(self, agent: str, may_connect: Callable[[str, int], bool] = is_public) -> None:
        """Open nothing yet; no loop need run."""
        self._agent = agent
        self._may_connect = may_connect
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, types: Sequence[str], budget: Budget) -> Fetched:
        """Return what is at ``url``, of a media type that begins in one of these ways.

        Raises UnfetchableError. The time it takes is the caller's to bound.
        """
        try:
            target = _checked(_url(url))
            for _ in range(_MOST_REDIRECTS + 1):
                found = await self._get(target, types, budget)
                if isinstance(found, Fetched):
                    return found
                target = _checked(found)
        except _NotPublicError:
            raise UnfetchableError("its address is not one of the open internet") from None
        except ValueError:
            raise UnfetchableError("it is not a valid URL") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnfetchableError("its server cannot be reached, or broke off") from error
        raise UnfetchableError(f"it redirects more than {_MOST_REDIRECTS} times")

    async def aclose(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def _get(self, url: URL, types: Sequence[str], budget: Budget) -> Fetched | URL:
        """Return what is there, or where it redirects to."""
        if self._session is None:
            self._session = self._new_session()
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status in _REDIRECTS and (location := response.headers.get("location")):
                return url.join(_url(location))
            if response.status != 200:
                raise UnfetchableError(f"its server answers with status {response.status}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if not kind.startswith(tuple(types)):
                raise UnfetchableError(f"it is not of the type {' or '.join(types)}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise UnfetchableError("its server compressed it unasked")
            pieces, size = [], 0
            async for piece in response.content.iter_chunked(_PIECE):
                budget.take(len(piece), so_far=size)
                size += len(piece)
                pieces.append(piece)
            return Fetched(kind, b"".join(pieces))

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=_CONNECTIONS,
            ssl=tls(),
            socket_factory=self._socket,
            force_close=True,
            # One address after the other: racing them would hide why one is refused.
            happy_eyeballs_delay=None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": self._agent, "accept-encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    def _socket(self, told: AddrInfoType) -> socket.socket:
        """Make the socket of a connection, where it may go."""
        family, kind, protocol, _, address = told
        if not self._may_connect(str(address[0]), int(address[1])):
            raise _NotPublicError
        return socket.socket(family, kind, protocol)


def _url(text: str) -> URL:
    # As it is written, where it can be sent so: of some URLs the spelling is signed.
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise UnfetchableError("it is neither an http nor an https URL")
    if url.user is not None or url.password is not None:
        raise UnfetchableError("it holds credentials")
    return url
