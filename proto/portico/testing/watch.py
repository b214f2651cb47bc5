"""Waiting for what a fake has seen: conditions instead of sleeps."""

import asyncio
from collections.abc import Callable
from typing import Final

#: Seconds after which a condition counts as missed.
PATIENCE: Final = 5.0


class Watch:
    """Wakes those who wait for a condition whenever something changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def changed(self) -> None:
        """Let every waiter look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return when ``holds()``; fail with ``what`` when that takes longer than ``PATIENCE``."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    await self._event.wait()
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE:g} s in vain: {what}") from None


class Signs(Watch):
    """Counts the signs of life of a backend: an ``UpstreamCall.alive``."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        self.changed()

    async def come(self, count: int) -> None:
        """Wait until there were ``count``."""
        await self.until(lambda: self.count >= count, f"{count} signs of life")
