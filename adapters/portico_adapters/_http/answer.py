"""The answer to a request, from its headers on."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from portico.errors import GatewayError, answer_too_large
from portico.v1.headers_pb2 import Header
from portico_adapters._http.failures import failure
from portico_adapters._http.transport import Response

# How long an answer may take to end after its last word. The caller waits that long for nothing.
_FINISH_SECONDS: Final = 0.2

# What is read of an error's body: much of an error page helps nobody.
_ERROR_BYTES: Final = 64 * 1024


class Answer:
    """An answer whose headers are there; iterate over it for the body as it arrives.

    Leave its ``async with`` block in any case: before the end of the body that breaks the connection
    off, after it the connection serves the next request.
    """

    def __init__(
        self, response: Response, limit: int, alive: Callable[[], None], release: Callable[[], None]
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
            raise failure(error, in_body=True) from error
        self._alive()
        return data

    async def read(self) -> bytes:
        """Return the whole body; raise GatewayError where it is larger than ``Limits.answer_bytes``."""
        pieces, size = [], 0
        async for data in self:
            pieces.append(data)
            size += len(data)
            if size > self._limit:
                raise answer_too_large("answer", f"over {self._limit} bytes")
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
