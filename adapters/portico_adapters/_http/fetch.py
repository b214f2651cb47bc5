"""Fetching what a caller names by its URL, without trusting the caller, the URL or the server.

- Every connection is checked when its socket is made, by the very address that it goes to: neither a name
  that resolves twice in two ways nor a redirect gets around that.
- No proxy, no cookies, no credentials, none of the caller's headers.
- Redirects are followed a few times, each like a URL of its own.
- Nothing is decompressed.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import httpx

from portico_adapters._http.addresses import is_public
from portico_adapters._http.budget import Budget, UnfetchableError
from portico_adapters._http.failures import BrokenOffError, NotHttpError
from portico_adapters._http.open_web import NotAllowedError, OpenWeb
from portico_adapters._http.origin import PORTS

_MOST_REDIRECTS: Final = 3
_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found."""

    #: In lower case, without parameters.
    media_type: str
    data: bytes


class Fetcher:
    """Fetches images and files. ``may_connect``: whether a connection to an address and a port is allowed."""

    def __init__(self, agent: str, may_connect: Callable[[str, int], bool] = is_public) -> None:
        """Open nothing; no loop need run."""
        self._headers = {"user-agent": agent, "accept": "*/*", "accept-encoding": "identity"}
        self._headers["connection"] = "close"
        self._web = OpenWeb(may_connect)
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    async def fetch(self, url: str, types: Sequence[str], budget: Budget) -> Fetched:
        """Return what is at ``url``, of a media type that begins in one of these ways.

        Raises UnfetchableError. The time it takes is the caller's to bound.
        """
        try:
            target = _checked(httpx.URL(url))
            for _ in range(_MOST_REDIRECTS + 1):
                async with self._slots:
                    found = await self._get(target, types, budget)
                if isinstance(found, Fetched):
                    return found
                target = _checked(found)
        except NotAllowedError:
            raise UnfetchableError("its address is not one of the open internet") from None
        except (BrokenOffError, NotHttpError, OSError) as error:
            raise UnfetchableError("its server cannot be reached, or broke off") from error
        # After OSError: a certificate that fails is both.
        except (httpx.InvalidURL, ValueError):
            raise UnfetchableError("it is not a valid URL") from None
        raise UnfetchableError(f"it redirects more than {_MOST_REDIRECTS} times")

    async def _get(self, url: httpx.URL, types: Sequence[str], budget: Budget) -> Fetched | httpx.URL:
        """Return what is there, or where it redirects to."""
        request = httpx.Request("GET", url, headers=self._headers)
        async with aclosing(await self._web.handle_async_request(request)) as response:
            if response.has_redirect_location:
                return url.join(response.headers["location"])
            if response.status_code != 200:
                raise UnfetchableError(f"its server answers with status {response.status_code}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if not kind.startswith(tuple(types)):
                raise UnfetchableError(f"it is not of the type {' or '.join(types)}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise UnfetchableError("its server compressed it unasked")
            pieces, size = [], 0
            async for piece in response.aiter_raw():
                budget.take(len(piece), so_far=size)
                size += len(piece)
                pieces.append(piece)
            return Fetched(kind, b"".join(pieces))


def _checked(url: httpx.URL) -> httpx.URL:
    if url.scheme not in PORTS or not url.host:
        raise UnfetchableError("it is neither an http nor an https URL")
    if url.userinfo:
        raise UnfetchableError("it holds credentials")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("not a port")
    return url
