"""What one configuration makes of a gateway. A reload makes the next one; running calls keep theirs."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

from portico_core import backends, operations, stages
from portico_core.backends import Backend
from portico_core.candidates import Candidate
from portico_core.catalog import Catalog
from portico_core.config import Config
from portico_core.keys import Keys
from portico_core.models import Models
from portico_core.standing import Standing
from portico_core.state_store import StateStore
from portico_core.text_endpoint import TextEndpoints
from portico_core.validate import check_chat, check_complete, check_embed


class Setup:
    """Backends, what they list, and the stages that calls pass."""

    def __init__(
        self,
        config: Config,
        first: stages.Stage,
        store: StateStore,
        before: "Setup | None" = None,
    ) -> None:
        """``first``: the stage before all others. ``store``: what is shared with other processes.
        ``before``: the one that serves by now, whose backends go on where nothing changed, with their lists.

        Opens nothing, and changes nothing of ``before``. Raises ConfigError where an adapter refuses to be
        made.
        """
        self.config: Final = config
        running = {} if before is None else before.backends
        self.backends: Final[dict[str, Backend]] = backends.build(config.backends, running, store)
        listed = None if before is None else before.catalog
        self.catalog: Final[Catalog] = Catalog(self.backends.values(), config.routes.bare, listed)
        self.models: Final = Models(config.routes, self.catalog)
        self.admin_keys: Final = Keys(config.admin_keys)
        keys = Keys(config.keys, others=config.admin_keys)
        self.question_stages: Final = (first, *stages.for_questions(keys))
        self.chat_stages, self.text_stages, self.embed_stages = (
            (first, *stages.for_calls(keys, self.models, self._standing, check))
            for check in (check_chat, check_complete, check_embed)
        )
        endpoints = TextEndpoints()
        self.complete: Final = operations.complete(endpoints)
        self.stream_complete: Final = operations.stream_complete(endpoints)
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def settle(self) -> None:
        """Have the backends that went on do as this configuration says: it serves from now on."""
        for settings in self.config.backends:
            self.backends[settings.name].concurrency = settings.concurrency

    def take(self) -> None:
        """Keep what it opened open for a call."""
        if not self._calls:
            self._idle.clear()
        self._calls += 1

    def give_back(self) -> None:
        """Note that a call is over."""
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no call uses it."""
        await self._idle.wait()

    async def aclose(self, but: Collection[Backend] = ()) -> None:
        """Wait for the calls that use it, then close it, less the backends that go on elsewhere."""
        await self.idle()
        async with contextlib.AsyncExitStack() as closing:
            for backend in self.backends.values():
                if backend not in but:
                    closing.push_async_callback(backend.adapter.aclose)
            closing.push_async_callback(self.catalog.aclose)

    def _standing(self, candidate: Candidate) -> Standing:
        return self.backends[candidate.backend].standings.of(candidate.model)
