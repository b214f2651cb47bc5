"""A whole gateway inside an asyncio program: facade and core on the loop that starts it.

The facade calls the core as an object, and there is no gRPC between them. Needs the extra ``all``.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from portico.config import ConfigError, Source, address
from portico_facade.listen import reachable
from portico_facade.whole import Where, load, whole

__all__ = ["ConfigError", "EmbeddedGateway"]


class EmbeddedGateway:
    """A gateway that runs while the block does, or from ``start`` to ``stop``::

        async with EmbeddedGateway("portico.yaml", http="127.0.0.1:0") as gateway:
            client = AsyncOpenAI(base_url=gateway.url, api_key="none")

    It leaves signals, logging and other gateways of the program alone. Nothing is read or opened before
    ``start``.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        http: str | None = None,
        grpc: str | None = None,
        drain: float | None = None,
    ) -> None:
        """``config`` is a file, what would stand in one, or None, which leaves it to the environment.

        ``http``: HOST:PORT or unix:/PATH, over the configuration's; port 0 is one of the machine's choice.
        ``grpc``: the same for internal services; None, whatever the configuration says, opens no such port.
        ``drain``: seconds that running requests and calls have to finish in ``stop``, over ``http.drain``.

        Raises ValueError where an address is none.
        """
        self._source: Final[Source | None] = (
            config if config is None or isinstance(config, Mapping) else Path(config)
        )
        self._http: Final = _checked("http", http)
        self._grpc: Final = _checked("grpc", grpc)
        self._drain: Final = drain
        self._changing: Final = asyncio.Lock()
        self._addresses: tuple[str, str | None] | None = None
        self._running: contextlib.AsyncExitStack | None = None

    @property
    def url(self) -> str:
        """The ``base_url`` for an OpenAI SDK; over a Unix socket, one that names no host."""
        host = "localhost" if self.http.startswith("unix:") else reachable(self.http)
        return f"http://{host}/v1"

    @property
    def http(self) -> str:
        """The address that HTTP listens on, with the port that was taken."""
        return self._bound()[0]

    @property
    def grpc(self) -> str | None:
        """The address that gRPC listens on, with the port that was taken. None: it does not."""
        return self._bound()[1]

    async def start(self) -> None:
        """Serve; return when the ports take calls.

        Raises ConfigError for mistakes in the configuration and OSError where an address cannot be
        listened on; nothing is left running then.
        """
        async with self._changing, contextlib.AsyncExitStack() as stack:
            if self._running is not None:
                raise RuntimeError("the gateway runs already")
            settings, config = load(self._source)
            drain = settings.drain if self._drain is None else self._drain
            where = Where(self._http or settings.listen, self._grpc, config.admin)
            running = await stack.enter_async_context(whole(settings, config, where, drain=drain))
            self._addresses = running.http, running.grpc
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Take no more calls, let the running ones finish, and close everything. Does nothing when stopped.

        Requests that outlast ``drain`` end with an error; cancelling this cuts them at once.
        """
        async with self._changing:
            running, self._running, self._addresses = self._running, None, None
            if running is not None:
                await running.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _bound(self) -> tuple[str, str | None]:
        if self._addresses is None:
            raise RuntimeError("the gateway does not run")
        return self._addresses


def _checked(name: str, text: str | None) -> str | None:
    found = None if text is None else address(text)
    if text is not None and found is None:
        raise ValueError(f"{name}={text!r} is no address. Write HOST:PORT, :PORT or unix:/PATH.")
    return found
