"""Keeps links open to each core of a target, and says which of them the next call takes."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self, TypeAlias

from portico.link.keeper import MUCH_LATER, Keeper
from portico.link.link import Link
from portico.link.places import listed, name_in

_log: Final = logging.getLogger("portico.link")

# Seconds after which a name is looked up again: as long as Kubernetes' name servers let an answer be kept.
_FRESH: Final = 30.0
# Seconds between two looks, when links end: a core has left perhaps, and another come.
_APART: Final = 1.0

#: Looks the gRPC targets of all cores up. Raises OSError.
LookUp: TypeAlias = Callable[[], Awaitable[frozenset[str]]]


class Links:
    """``async with`` keeps links open to each core that ``target`` has, if it knows them."""

    def __init__(self, target: str, *, much_later: float = MUCH_LATER, look_up: LookUp | None = None) -> None:
        """``look_up`` replaces the system's, for a target whose name is looked up."""
        self._target = target
        self._much_later = much_later
        name = name_in(target)
        self._look_up = look_up or (name.places if name else None)
        self._cores: dict[str, Keeper] = {}
        # Of places that the name had before: their last calls go on.
        self._former: list[Keeper] = []
        self._stale = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @property
    def open(self) -> set[Link]:
        """All links that are open, those that take no more calls included."""
        return {link for core in (*self._cores.values(), *self._former) for link in core.open}

    def pick(self) -> Link | None:
        """Return a link to the core with the fewest calls under way. None: take an RPC."""
        found: list[tuple[Keeper, Link]] = []
        for core in self._cores.values():
            if not core.linkable:
                # In the middle of an upgrade: the new cores alone would have all the calls.
                return None
            if (link := core.pick()) is not None:
                found.append((core, link))
        if len(found) > 1:
            # Of those that are equal any: not the same one again and again while there is little to do.
            return min(found, key=lambda each: (each[0].in_flight, random.random()))[1]  # noqa: S311
        return found[0][1] if found else None

    async def __aenter__(self) -> Self:
        self._take(listed(self._target))
        if self._look_up is not None:
            self._following = asyncio.create_task(self._follow(self._look_up))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await asyncio.gather(*(core.close() for core in (*self._cores.values(), *self._former)))

    async def _follow(self, look_up: LookUp) -> None:
        """Keep links to the cores that a name has now."""
        while True:
            fresh = 0.0
            try:
                self._take(await look_up())
                fresh = _FRESH
            except OSError as error:
                # What was known last still serves, perhaps.
                _log.info("the cores at %s are not found: %s", self._target, error)
            await asyncio.sleep(_APART)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(fresh):
                    await self._stale.wait()
            self._stale.clear()

    def _take(self, places: Iterable[str]) -> None:
        """Go over to the cores at these places."""
        places = set(places)
        for place in self._cores.keys() - places:
            core = self._cores.pop(place)
            core.leave()
            self._former.append(core)
        for place in places - self._cores.keys():
            core = self._cores[place] = Keeper(place, self._much_later, self._stale.set)
            core.start()
        self._former = [core for core in self._former if not core.over]
