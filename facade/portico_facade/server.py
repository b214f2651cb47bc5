"""The facade as a process: it binds, dials the core, serves, and drains when it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeAlias

from grpc import aio

from portico.link import LinkedGateway, Links
from portico.remote import RemoteGateway, options_for
from portico_facade.app import FacadeApplication, make_app
from portico_facade.config import Settings
from portico_facade.connection import Server
from portico_facade.conversation import Conversation
from portico_facade.listen import listening

_log: Final = logging.getLogger("portico.facade")

# Seconds in which clients whose connections stay open learn, with an answer, that they are to leave.
_NOTICE: Final = 0.3
# Seconds that requests which were cut have to tell their clients so.
_LAST_WORDS: Final = 1.0

#: Seconds for which an idle connection is kept. More than the 60 s of common load balancers, which would
#: otherwise send requests into a closing connection.
IDLE: Final = 75.0

#: Opens listening sockets, and tells their address.
Opening: TypeAlias = contextlib.AbstractContextManager[tuple[list[socket.socket], str]]


async def serve(
    settings: Settings,
    gateway_target: str,
    *,
    listen: str | None = None,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends it.

    ``listen`` replaces the address of the settings. ``ready`` is called with the address that is bound,
    as HOST:PORT or unix:/PATH.
    """
    async with (
        aio.insecure_channel(gateway_target, options_for(gateway_target)) as channel,
        Links(gateway_target) as links,
    ):
        app = make_app(LinkedGateway(RemoteGateway(channel), links.pick), settings)
        with stop_signals() as (stop, hurry):
            async with serving(app, listening(listen or settings.listen)) as (server, address):
                ready(address)
                await stop.wait()
                await drained(app, server, settings.drain, hurry)


@contextlib.asynccontextmanager
async def serving(app: FacadeApplication, opening: Opening) -> AsyncIterator[tuple[Server, str]]:
    """Serve until the block ends, which closes every connection; yield the address that is bound.

    ``opening``: what opens the sockets. Raises OSError where they cannot be listened on.
    """
    server = make_server(app)
    with opening as (sockets, address):
        server.add_sockets(sockets)
        try:
            yield server, address
        finally:
            server.stop()
            await server.close_all_connections()


def make_server(app: FacadeApplication, idle: float = IDLE) -> Server:
    """Return a server of the application that does not listen yet. ``idle``: see ``IDLE``."""
    return Server(
        lambda stream: Conversation(stream, app.facade, app.handle, idle), app.facade.settings.client_timeout
    )


async def drained(app: FacadeApplication, server: Server, budget: float, hurry: asyncio.Event) -> None:
    """Take no more connections, let the running requests end, cut those that last too long."""
    app.facade.draining = True
    server.leave()
    hurried = asyncio.create_task(hurry.wait())
    idle: asyncio.Task[None] | None = None
    end = time.monotonic() + budget

    def left() -> float:
        return max(0.0, end - time.monotonic())

    try:
        while True:
            if server.connected:
                # A request that is on its way still is answered, and its client asked to take another
                # connection.
                await asyncio.wait({hurried}, timeout=min(_NOTICE, left()))
            _log.info("stopping: %d requests are running", len(app.facade.running))
            if not app.facade.running:
                break
            idle = asyncio.create_task(app.facade.idle())
            await asyncio.wait({hurried, idle}, timeout=left(), return_when=asyncio.FIRST_COMPLETED)
            if not idle.done():
                _log.warning("stopping: %d requests are cut", len(app.facade.running))
                for request in list(app.facade.running):
                    request.cut()
                await asyncio.wait({idle}, timeout=_LAST_WORDS)
                break
            # Once more: clients whose answers had begun before that have not been asked.
    finally:
        tasks = [task for task in (hurried, idle) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def stop_signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Turn the first SIGTERM or SIGINT into one event, and the second into another."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def received() -> None:
        (hurry if stop.is_set() else stop).set()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, received)
    try:
        yield stop, hurry
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
