"""What the core needs to know, checked and with its defaults."""

from dataclasses import dataclass
from typing import Any

from portico.adapter import Adapter
from portico.config import Address, Duration
from portico.secret import Secret
from portico_core.routing import Routes


@dataclass(frozen=True, slots=True)
class Grpc:
    """Where the core listens."""

    listen: Address = "0.0.0.0:50051"
    #: Seconds that running calls get to finish when the core is told to stop.
    drain: Duration = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience with a backend, in seconds."""

    #: For the TCP or TLS connect.
    connect: Duration = 5.0
    #: Without any byte from the backend while an answer is awaited.
    silence: Duration = 30.0
    #: For an unstreamed call in all, whichever backends it tries.
    total: Duration = 600.0
    #: From the start of a streamed attempt to its first content. None: no limit.
    first_content: Duration | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend."""

    name: str
    dialect: str
    adapter: type[Adapter]
    #: An instance of ``adapter.Settings``.
    settings: Any
    timeouts: Timeouts
    #: The models it lists. None: it is asked for them.
    models: tuple[str, ...] | None
    #: Where it stands, such as ``portico.yaml:7``.
    place: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key that opens the gateway, and who shows it."""

    name: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Config:
    """All that the core needs to know."""

    grpc: Grpc
    backends: tuple[Backend, ...]
    routes: Routes
    #: What callers must show. Empty: nothing.
    keys: tuple[Key, ...] = ()
    #: HOST:PORT of the admin port. None: there is none.
    admin: Address | None = None
