"""The answer to a request, from its headers on."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from portico.errors import GatewayError, answer_too_large
from portico.v1.headers_pb2 import Header
from portico_adapters._http.connection import Connection
from portico_adapters._http.failures import failure

# How long an answer may take to end after its last word. The caller waits that long for nothing.
_FINISH_SECONDS: Final = 0.2

# What is read of an error's body: much of an error page helps nobody.
_ERROR_BYTES: Final = 64 * 1024


class Answer:
    """An answer whose headers are there; ``next`` returns the body as it arrives.

    Leave its ``with`` block in any case: before the end of the body that breaks the connection off, after
    it the connection serves the next request.
    """

    __slots__ = ("_alive", "_connection", "_headers", "_limit", "_over", "status")

    def __init__(
        self,
        connection: Connection,
        limit: int,
        alive: Callable[[], None],
        over: Callable[[Connection], None],
    ) -> None:
        """``limit``: bytes of a body that is read whole; ``over`` takes the connection back."""
        self.status = connection.status
        self._connection = connection
        self._headers = connection.headers
        self._limit = limit
        self._alive = alive
        self._over = over

    @property
    def ok(self) -> bool:
        """Whether its status is one of success."""
        return 200 <= self.status < 300

    @property
    def headers(self) -> list[Header]:
        """All headers, their names in lower case."""
        return self.picked((b"",))

    def picked(self, beginnings: tuple[bytes, ...]) -> list[Header]:
        """Return the headers whose names, in lower case, begin in one of these ways."""
        return [
            Header(name=name.decode("latin-1"), value=value)
            for name, value in self._headers
            if name.startswith(beginnings)
        ]

    async def next(self) -> bytes:
        """Return what one read brings, at most 16 KiB. Empty: it is over."""
        try:
            data = await self._connection.read()
        except Exception as error:
            raise failure(error, at="", in_body=True) from error
        if data:
            self._alive()
        return data

    async def read(self) -> bytes:
        """Return the whole body; raise GatewayError where it is larger than ``Limits.answer_bytes``."""
        pieces, size = [], 0
        while data := await self.next():
            pieces.append(data)
            size += len(data)
            if size > self._limit:
                raise answer_too_large("answer", f"over {self._limit} bytes")
        return b"".join(pieces)

    async def read_error(self) -> bytes:
        """Return the body of an error, its first 64 KiB at most, or as much as comes."""
        body = b""
        with suppress(GatewayError):
            while data := await self.next():
                body += data
                if len(body) >= _ERROR_BYTES:
                    break
        return body[:_ERROR_BYTES]

    async def finish(self) -> None:
        """Read what follows the part that counts, for a moment: then the connection is kept."""
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while await self.next():
                    pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over(self._connection)
