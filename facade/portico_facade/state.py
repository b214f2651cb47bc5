"""What the handlers of one facade share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry

from portico.gateway import Gateway
from portico_facade.config import Settings
from portico_facade.metrics import Metrics


class Running(Protocol):
    """A request that is not yet answered."""

    def cut(self) -> None:
        """Answer it with an error, now."""
        ...


@dataclass(slots=True, eq=False)
class Facade:
    """One facade: what it calls, how it is set, and which requests it is serving."""

    gateway: Gateway
    settings: Settings
    #: It is about to stop: answers ask the clients to take another connection.
    draining: bool = False
    running: set[Running] = field(default_factory=set)
    metrics: Metrics = field(init=False)
    #: What GET /metrics answers: this process's metrics, or those of all that share its port.
    told: Callable[[], Awaitable[CollectorRegistry]] = field(init=False)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.metrics = Metrics(lambda: len(self.running))
        self.told = self.metrics.told

    def leave(self, request: Running) -> None:
        """Forget a request that is answered, or whose client is gone."""
        self.running.discard(request)
        if not self.running:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is being served."""
        while self.running:
            self._idle.clear()
            await self._idle.wait()
