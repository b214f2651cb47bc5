"""Whether models can be served, as the breakers of their candidates say, and when that changes."""

import asyncio
from collections.abc import AsyncGenerator
from math import inf
from time import monotonic

from portico.errors import GatewayError
from portico_core.setup import Setup


class ModelHealth:
    """The health of all models of a gateway. A model is well while any candidate of it may be tried."""

    def __init__(self, setup: Setup) -> None:
        self._watchers: set[asyncio.Event] = set()
        self.follow(setup)

    def follow(self, setup: Setup) -> None:
        """Go on with another configuration."""
        self._setup = setup
        for backend in setup.backends.values():
            backend.standings.listeners.add(self.changed)
        self.changed()

    @property
    def watched(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def changed(self) -> None:
        """Have all who watch look again."""
        for event in self._watchers:
            event.set()

    async def of(self, name: str) -> bool | None:
        """Return whether a model is well. None: nothing has that name."""
        due = await self._due(name)
        return None if due is None else due <= monotonic()

    async def watch(self, name: str) -> AsyncGenerator[bool | None, None]:
        """Yield whether a model is well, now and whenever that may have changed."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            while True:
                event.clear()
                due = await self._due(name)
                now = monotonic()
                yield None if due is None else due <= now
                # A breaker whose time is over tells nobody.
                left = inf if due is None or due <= now else due - now
                try:
                    async with asyncio.timeout(None if left == inf else left):
                        await event.wait()
                except TimeoutError:
                    pass
        finally:
            self._watchers.discard(event)

    async def _due(self, name: str) -> float | None:
        """Return the moment from which a candidate may be tried; of one that is well, a past one."""
        try:
            pools = await self._setup.models.pools(name, 0)
        except GatewayError:
            return None
        backends = self._setup.backends
        records = [
            backends[each.backend].standings.known(each.model) for pool in pools for each in pool.candidates
        ]
        return min(-inf if record is None else record.breaker.due for record in records)
