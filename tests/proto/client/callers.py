"""One face for both clients, so that one test holds for both: the one for threads is awaited in threads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Self

from portico.client import AsyncClient, Client

_END: Final = object()


class ThreadedStream:
    """A stream of ``Client``, read in threads."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate(self._stream)

    async def __anext__(self) -> Any:
        return await anext(self._iterate(self._stream))

    def text(self) -> AsyncIterator[str]:
        return self._iterate(self._stream.text())

    async def answer(self) -> Any:
        return await asyncio.to_thread(self._stream.answer)

    async def aclose(self) -> None:
        self._stream.close()

    async def __aenter__(self) -> Self:
        self._stream.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stream.__exit__(*error)

    @staticmethod
    async def _iterate(iterator: Any) -> AsyncIterator[Any]:
        while (value := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield value


class ThreadedClient:
    """``Client``, called in threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def stream(self, *args: Any, **kwargs: Any) -> ThreadedStream:
        return ThreadedStream(self._client.stream(*args, **kwargs))

    def stream_complete(self, *args: Any, **kwargs: Any) -> ThreadedStream:
        return ThreadedStream(self._client.stream_complete(*args, **kwargs))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(method, *args, **kwargs)

        return call


@asynccontextmanager
async def _threaded(target: str, **options: Any) -> AsyncIterator[Any]:
    with Client(target, **options) as client:
        yield ThreadedClient(client)


#: Makes either client: ``async with dial(target, …) as client``.
Dial = Callable[..., AbstractAsyncContextManager[Any]]

DIALS: Final[dict[str, Dial]] = {"threads": _threaded, "asyncio": AsyncClient}
