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
    #: Calls that may be under way; what comes beyond them is turned away.
    max_calls: int = 20_000

    def __post_init__(self) -> None:
        if self.max_calls < 1:
            raise ValueError("max_calls: expected 1 or more")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience with a backend, in seconds."""

    #: For the TCP or TLS connect.
    connect: Duration = 5.0
    #: Without any byte from the backend while an answer is awaited.
    silence: Duration = 30.0
    #: For an unstreamed call in all, whichever backends it tries.
    total: Duration = 600.0
    #: From the start of a streamed attempt to its first content. None: as for an unstreamed call.
    first_content: Duration | None = None


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How much a backend is asked at a time."""

    #: Attempts that may run at a time. None: any number.
    limit: int | None = None
    #: Calls that may wait for one of them to end. None: as many as ``limit``.
    queue: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError("limit: expected 1 or more")
        if self.queue is not None and self.queue < 0:
            raise ValueError("queue: expected 0 or more")
        if self.queue is not None and self.limit is None:
            raise ValueError("queue: nobody waits without a limit. Add `limit: …`.")


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
    concurrency: Concurrency = Concurrency()


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
    #: What operators must show who call the core's AdminService. Empty: nobody may.
    admin_keys: tuple[Key, ...] = ()
