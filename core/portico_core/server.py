"""The core as a server: gRPC, health and reflection, from the first call to the last."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from portico.config import address
from portico.link.v1.link_pb2_grpc import add_LinkServiceServicer_to_server
from portico.remote import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES
from portico.v1.gateway_pb2 import DESCRIPTOR
from portico_core.admin import admin
from portico_core.admin_service import ADMIN, add_admin
from portico_core.config import Config
from portico_core.gateway import RoutingGateway
from portico_core.health import HealthServicer
from portico_core.link import LinkServicer
from portico_core.reload import Reload, Reloads, reloading
from portico_core.service import add_gateway

_log: Final = logging.getLogger("portico.server")

SERVICE: Final = DESCRIPTOR.services_by_name["GatewayService"].full_name

# More than `grpc.max_calls` is by default.
_WAITING: Final = 65_536

_OPTIONS: Final = [
    # As large as clients send and take them (portico.remote).
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # Clients ping every 30 s through long silence; gRPC takes that for an attack unless told otherwise.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients look a name up again only when a connection ends: this is how they find new cores. Running
    # calls keep theirs to the end.
    ("grpc.max_connection_age_ms", 300_000),
    # Calls that have come and nobody has taken yet. Of those over 1,000 gRPC cancels some, by chance and
    # without a word; `grpc.max_calls` bounds calls, and says so.
    ("grpc.server.max_pending_requests", _WAITING),
    ("grpc.server.max_pending_requests_hard_limit", _WAITING),
    # A client whose machine is gone does not hold its call for ever.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]

# Seconds between the word that the core leaves and its refusing of new calls.
_NOTICE: Final = 0.3
# Seconds that the last answers have to leave when all calls are over. Streams of health checks, which
# never end, are cut then.
_FLUSH: Final = 0.5
# Seconds; as good as for ever.
_NEVER: Final = 1e6

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def serve(
    config: Config,
    *,
    listen: Sequence[str],
    ready: Callable[[str], None],
    reloads: Reloads | None = None,
) -> None:
    """Run a core until SIGTERM or SIGINT, then drain it; a second signal stops it at once.

    ``listen``: addresses, HOST:PORT or unix:/PATH; port 0 is one of the machine's choice. ``ready`` is
    called with the addresses in use, joined by ", ". ``reloads``: how it comes to another configuration;
    None: not at all. Raises OSError where an address cannot be listened on.
    """
    gateway = RoutingGateway(config)
    told, told_again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def signalled() -> None:
        (told_again if told.is_set() else told).set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, signalled)
    grace = 0.0
    async with (
        admin(gateway.metrics.told, config.admin),
        reloading(gateway, reloads) if reloads else contextlib.nullcontext() as reload,
    ):
        server = Server(gateway, reload=reload)
        try:
            ready(", ".join(await server.start(listen)))
            await told.wait()
            grace = config.grpc.drain
        finally:
            await server.stop(grace, hurry=told_again)
            await gateway.aclose()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


class Server:
    """A gateway behind gRPC. Whoever makes the gateway closes it."""

    def __init__(
        self, gateway: RoutingGateway, *, shared: bool = False, reload: Reload | None = None
    ) -> None:
        """``shared``: other processes may listen on the same ports.

        ``reload``: what operators may ask for by the AdminService. None: there is no such service.
        """
        # Unless it is meant a second server on the port is a mistake, not company.
        options = [*_OPTIONS, ("grpc.so_reuseport", int(shared))]
        self._gateway = gateway
        self._health = HealthServicer(gateway.health)
        self._server = aio.server(options=options)
        self._links = LinkServicer(gateway)
        add_gateway(gateway, self._server)
        add_LinkServiceServicer_to_server(self._links, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME]
        if reload is not None:
            add_admin(gateway, reload, self._server)
            names.append(ADMIN)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, listen: Sequence[str]) -> list[str]:
        """Listen on addresses and serve; return them with the ports that were chosen."""
        bound = [_bind(self._server, each) for each in listen]
        await self._gateway.start()
        await self._server.start()
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Take no new calls, give running ones ``grace`` seconds or until ``hurry``, then end them."""
        await self._health.enter_graceful_shutdown()
        self._links.leave()
        hurried = asyncio.create_task((hurry or asyncio.Event()).wait())
        # Clients that watch the health go elsewhere; what is on its way to us meanwhile is still served.
        await asyncio.wait((hurried,), timeout=min(_NOTICE, grace))
        _log.info("draining: running calls have %g s to finish", grace)
        # The grace is kept here, not by gRPC, which crashes when it ends just as another stop does.
        closing = asyncio.create_task(self._server.stop(_NEVER))
        # Clients learn of it with this, and what they have sent until then is served.
        await asyncio.wait(
            (closing, hurried), timeout=min(_NOTICE, grace), return_when=asyncio.FIRST_COMPLETED
        )
        self._gateway.drain()
        idle = asyncio.create_task(self._gateway.idle())
        await asyncio.wait((closing, idle, hurried), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        if idle.done():
            await asyncio.wait((closing, hurried), timeout=_FLUSH, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        hurried.cancel()
        await self._server.stop(None)
        await closing


def _bind(server: aio.Server, listen: str) -> str:
    where = address(listen)
    if where is None:
        raise OSError(errno.EINVAL, f"cannot listen on {listen}: it is neither HOST:PORT nor unix:/PATH")
    host, _, port = where.rpartition(":")
    if host == "unix" and _somebody_listens(port):
        # gRPC would take the path over, and leave the other server running where nobody finds it.
        raise OSError(errno.EADDRINUSE, f"cannot listen on {listen}: another server does")
    try:
        chosen = server.add_insecure_port(where)
    except RuntimeError:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {listen}: {_reason(where)}") from None
    return where if host == "unix" else f"{host}:{chosen}"


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _reason(where: str) -> str:
    """Return why gRPC could not bind, which it keeps to itself."""
    host, _, port = where.rpartition(":")
    try:
        if host == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(port)
            return "gRPC refuses it"
        for family, kind, _, _, name in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.bind(name)
    except OSError as error:
        return error.strerror or str(error)
    return "gRPC refuses it"
