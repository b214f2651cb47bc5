"""A whole gateway inside an asyncio program: facade and core on the loop that starts it.

The facade calls the core as an object, and there is no gRPC between them. Needs the extra ``all``.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from portico.config import ConfigError, Mistakes, Source, address
from portico_core import config as core_config
from portico_core.admin import admin
from portico_core.gateway import RoutingGateway
from portico_core.server import Server
from portico_facade import config as facade_config
from portico_facade.app import make_app
from portico_facade.listen import reachable
from portico_facade.server import drained, serving

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
            settings, config = _load(self._source)
            drain = settings.drain if self._drain is None else self._drain
            serving = _serving(settings, config, self._http or settings.listen, self._grpc, drain)
            self._addresses = await stack.enter_async_context(serving)
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


def _load(source: Source | None) -> tuple[facade_config.Settings, core_config.Config]:
    """Read the configuration for both halves; raise ConfigError with the mistakes of both."""
    mistakes = Mistakes()
    with mistakes:
        settings = facade_config.load(source, os.environ)
    with mistakes:
        config = core_config.load(source, os.environ)
    mistakes.report()
    return settings, config


@contextlib.asynccontextmanager
async def _serving(
    settings: facade_config.Settings, config: core_config.Config, http: str, grpc: str | None, drain: float
) -> AsyncIterator[tuple[str, str | None]]:
    """Run both halves while the block does; yield the addresses of HTTP and gRPC."""
    core = RoutingGateway(config)
    async with contextlib.aclosing(core), admin(core.metrics.registry, config.admin):
        await core.start()
        app = make_app(core, settings)
        calls = Server(core) if grpc else None
        # Of ``drain``: who fails to start, or is cancelled, waits for nobody.
        left = 0.0
        try:
            grpc_bound = (await calls.start([grpc]))[0] if calls and grpc else None
            async with serving(app, http) as (server, http_bound):
                yield http_bound, grpc_bound
                end = time.monotonic() + drain
                # HTTP first, as its requests are calls of the core.
                await drained(app, server, drain, asyncio.Event())
                left = max(0.0, end - time.monotonic())
        finally:
            if calls:
                await calls.stop(left)
