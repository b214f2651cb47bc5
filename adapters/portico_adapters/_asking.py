"""Asks a backend about each of its models, where the list itself does not tell, and remembers the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

from portico.errors import GatewayError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: How many models are asked about at once.
_TOGETHER: Final = 4
#: Seconds for all of them. What is not known by then is left out, and asked again with the next list.
_PATIENCE: Final = 3.0


class Asking(Generic[K, V]):
    """What is known of the models of the last list. A key changes when its model does."""

    def __init__(self) -> None:
        self._known: Mapping[K, V] = {}

    async def about(self, keys: Sequence[K], ask: Callable[[K], Awaitable[V]]) -> list[V | None]:
        """Return what is known of each. None: ``ask`` raised GatewayError, which spoils nothing else."""
        known = {key: self._known[key] for key in keys if key in self._known}
        room = asyncio.Semaphore(_TOGETHER)

        async def learn(key: K) -> None:
            with suppress(GatewayError):
                async with room:
                    known[key] = await ask(key)

        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                for key in dict.fromkeys(keys):
                    if key not in known:
                        group.create_task(learn(key))
        self._known = known
        return [known.get(key) for key in keys]
