"""Images and files that messages name by URLs, fetched for backends that take none."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from portico.adapter import UpstreamCall
from portico.errors import GatewayError, invalid_request
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ContentPart
from portico_adapters._http import Budget, UnfetchableError
from portico_adapters._passing import PassingSettings

if TYPE_CHECKING:
    from portico_adapters._http.fetch import Fetcher

_REMOTE: Final = re.compile("https?:", re.IGNORECASE)

#: Bounds on one request.
_MOST: Final = 16
_AT_ONCE: Final = 4
_SECONDS: Final = 10.0
_EACH_BYTES: Final = 10 * 1024 * 1024
_ALL_BYTES: Final = 20 * 1024 * 1024

#: Of parts.
_TYPES: Final = ("image_url", "file")

_IMAGES: Final = ("image/",)
_FILES: Final = ("application/pdf",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchingSettings(PassingSettings):
    """Members of every backend whose dialect takes no URLs."""

    #: Fetch images and PDF files that messages name by http and https URLs: at most 16 a request, 10 MiB
    #: each, 20 MiB and 10 s together, from the open internet alone. False: they are refused.
    fetch_urls: bool = False


@dataclass(frozen=True, slots=True)
class _Remote:
    """A place in a request where a URL stands."""

    part: ContentPart
    where: str

    @property
    def url(self) -> str:
        return self.part.image_url.url if self.part.type == "image_url" else self.part.file.file_data

    @property
    def types(self) -> Sequence[str]:
        return _IMAGES if self.part.type == "image_url" else _FILES

    def put(self, url: str) -> None:
        if self.part.type == "image_url":
            self.part.image_url.url = url
        else:
            self.part.file.file_data = url

    def error(self, reason: str) -> GatewayError:
        image = self.part.type == "image_url"
        what, code = ("image", "invalid_image_url") if image else ("file", None)
        return invalid_request(f"The {what} at this URL cannot be fetched: {reason}.", self.where, code)


class Fetching:
    """Puts what URLs name into requests, as data: URLs.

    ``fetcher`` None: requests stay as they are. ``types``: the types of parts in which URLs are looked for.
    """

    def __init__(self, fetcher: "Fetcher | None", types: Sequence[str] = _TYPES) -> None:
        self._fetcher = fetcher
        self._types = types

    @classmethod
    def by(cls, settings: FetchingSettings, types: Sequence[str] = _TYPES) -> "Fetching":
        """Return what the configuration of a backend asks for."""
        if not settings.fetch_urls:
            return cls(None, types)
        # httpx takes as long to load as all the rest, and most backends want none of it.
        from portico_adapters._http.fetch import Fetcher  # noqa: PLC0415

        return cls(Fetcher(settings.agent), types)

    async def inlined(self, call: UpstreamCall) -> UpstreamCall:
        """Return the call with a request of its own where something was fetched.

        Raises 400, naming the place, for what cannot be fetched.
        """
        if self._fetcher is None or not any(_remotes(call.params, self._types)):
            return call
        params = ChatCompletionParams()
        params.CopyFrom(call.params)
        remotes = list(_remotes(params, self._types))
        if len(remotes) > _MOST:
            raise remotes[_MOST].error(f"a request may name at most {_MOST}")
        await _fetch_all(self._fetcher, remotes)
        return replace(call, params=params)


def _remotes(params: ChatCompletionParams, types: Sequence[str]) -> Iterator[_Remote]:
    for at, message in enumerate(params.messages):
        for number, part in enumerate(message.content_parts):
            where = f"messages[{at}].content[{number}]"
            if part.type not in types:
                continue
            if part.type == "image_url" and _REMOTE.match(part.image_url.url):
                yield _Remote(part, f"{where}.image_url.url")
            elif part.type == "file" and _REMOTE.match(part.file.file_data):
                yield _Remote(part, f"{where}.file.file_data")


async def _fetch_all(fetcher: "Fetcher", remotes: Sequence[_Remote]) -> None:
    """Fetch all; at the first that fails, stop and raise its error."""
    slots, budget = asyncio.Semaphore(_AT_ONCE), Budget(_EACH_BYTES, _ALL_BYTES)
    end = asyncio.get_running_loop().time() + _SECONDS

    async def fetch(remote: _Remote) -> None:
        try:
            async with asyncio.timeout_at(end), slots:
                found = await fetcher.fetch(remote.url, remote.types, budget)
        except UnfetchableError as reason:
            raise remote.error(str(reason)) from reason
        except TimeoutError:
            raise remote.error(f"it did not come within {_SECONDS:g} s") from None
        remote.put(f"data:{found.media_type};base64,{b64encode(found.data).decode()}")

    tasks = [asyncio.create_task(fetch(remote)) for remote in remotes]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
