"""A command that is always run by one process: by another when it dies, or when it is to be a fresh one."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from typing import Final

from portico_facade.cli.backlog import Backlog
from portico_facade.cli.child import Child

_log = logging.getLogger("portico.supervisor")

# Seconds before a child that died is started again: at once the first time, later with patience.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
#: A child that ran for so many seconds has recovered: the next pause is the first again.
_RECOVERED: Final = 60.0
# Starts in a row that come to nothing, after which it is no accident.
_ENOUGH: Final = 5


class Keeper:
    """Keeps one command running. After ``start`` it does so until ``leave``."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        lock: int,
        *,
        reloads: bool = False,
        backlog: Backlog | None = None,
    ) -> None:
        """``lock``: a file descriptor that the process holds open as long as it runs.

        ``reloads``: it reads its configuration again on SIGHUP. ``backlog``: what it accepts from, given to
        the command as --accept. None: it listens by itself, and two such processes could not run at a time.
        """
        self.name: Final = name
        self._arguments: Final = arguments
        self._lock: Final = lock
        self._reloads: Final = reloads
        self._backlog: Final = backlog
        self._child: Child | None = None
        self._all: Final[set[Child]] = set()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._hopeless: Callable[[int], None] = lambda _: None

    @property
    def replaceable(self) -> bool:
        """Whether another process can take over while the first still runs."""
        return self._backlog is not None

    @property
    def hopeless(self) -> bool:
        """Whether starting it again has come to nothing too often."""
        return self._failures >= _ENOUGH

    async def start(self) -> str | None:
        """Start the process; return the address that it is ready on. None: it never was."""
        try:
            self._child = self._make()
            return await self._run(self._child)
        except OSError as error:
            _log.error("the %s cannot be started: %s", self.name, error)
            return None

    def keep(self, hopeless: Callable[[int], None]) -> None:
        """Start it again from now on when it ends; ``hopeless`` is told its status where that fails."""
        self._hopeless = hopeless
        self._task = asyncio.create_task(self._keep())

    async def replace(self) -> bool:
        """Start another process; once it is ready, have the one before drain. False: the old one stays."""
        await self._let_be()
        ready = False
        try:
            successor = self._make()
            ready = await self._run(successor) is not None
            if ready:
                if self._child is not None:
                    self._child.signal(signal.SIGTERM)
                self._child = successor
        except OSError as error:
            _log.error("another %s cannot be started: %s", self.name, error)
        finally:
            self._task = asyncio.create_task(self._keep())
        return ready

    async def leave(self) -> None:
        """Start nothing again; the processes take what waits, and no more connections come."""
        await self._let_be()
        if self._backlog is not None:
            self._backlog.close()

    def reload(self) -> None:
        """Have the processes read their configuration again."""
        for child in self._all:
            child.reload()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the processes, those that drain too."""
        for child in self._all:
            child.signal(number)

    async def ended(self) -> int:
        """Wait for all processes to end; return the status of the newest."""
        await asyncio.gather(*(child.ended() for child in tuple(self._all)))
        return 0 if self._child is None else await self._child.ended()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while self._child is not None:
            started = loop.time()
            status = await self._child.ended()
            if loop.time() - started > _RECOVERED:
                pause = _FIRST_PAUSE
            if pause > _FIRST_PAUSE and self._backlog is not None:
                # Connections waited for the first to come back; they shall not wait for one that does not.
                self._backlog.abandon()
            _log.error("the %s ended with status %s; starting it again in %.1f s", self.name, status, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            try:
                self._child = self._make()
                ready = await self._run(self._child) is not None
            except OSError as error:
                _log.error("the %s cannot be started: %s", self.name, error)
                ready = False
            self._failures = 0 if ready else self._failures + 1
            if self.hopeless:
                self._hopeless(await self._child.ended())

    def _make(self) -> Child:
        descriptors = () if self._backlog is None else self._backlog.open()
        accept = ["--accept", ",".join(map(str, descriptors))] if descriptors else []
        kept = (self._lock, *descriptors)
        return Child(self.name, [*self._arguments, *accept], kept, reloads=self._reloads)

    async def _run(self, child: Child) -> str | None:
        self._all.add(child)
        address = await child.start()
        self._all.difference_update([each for each in self._all if each.over and each is not child])
        return address

    async def _let_be(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
