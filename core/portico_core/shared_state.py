"""The state that workers share: kept by their supervisor, which they ask over a Unix socket.

Lines of JSON. A worker asks ["take", NUMBER, NAME, LIMIT, QUEUE, SECONDS] and is told [NUMBER, TAKEN];
["give up", NUMBER] ends the waiting, and ["leave", NAME] gives a place back. A worker that is gone has given
back all it had.
"""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from portico_core.state_store import Gate, StateStore

# Seconds for which an answer may be late before it is taken for a no.
_LATE: Final = 1.0


@contextlib.asynccontextmanager
async def sharing(path: Path, store: StateStore) -> AsyncIterator[None]:
    """Let workers share a store at ``path`` while the block runs."""
    running: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_Worker(store, writer).serve(reader))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_unix_server(accepted, path)
    try:
        yield
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Worker:
    """One worker, as the supervisor sees it."""

    def __init__(self, store: StateStore, writer: asyncio.StreamWriter) -> None:
        self._store: Final = store
        self._writer: Final = writer
        self._waiting: Final[dict[int, asyncio.Task[bool]]] = {}
        # A gate is forgotten unless somebody holds it.
        self._gates: Final[dict[str, Gate]] = {}
        self._taken: Final[Counter[str]] = Counter()
        self._gone = False

    async def serve(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._asked(*json.loads(line))
        except OSError:
            pass  # It is gone.
        finally:
            self._gone = True
            for task in self._waiting.values():
                task.cancel()
            await asyncio.gather(*self._waiting.values(), return_exceptions=True)
            for name, count in tuple(self._taken.items()):
                for _ in range(count):
                    self._leave(name)
            self._writer.close()

    def _asked(self, what: str, *about: Any) -> None:
        if what == "take":
            self._take(*about)
        elif what == "leave":
            self._leave(*about)
        elif task := self._waiting.get(about[0]):
            task.cancel()

    def _take(self, number: int, name: str, limit: int, queue: int, patience: float) -> None:
        gate = self._store.gate(name)
        task = self._waiting[number] = asyncio.create_task(gate.take(limit, queue, patience))
        # Of one that was given up before it began too.
        task.add_done_callback(lambda done: self._told(number, name, gate, done))

    def _told(self, number: int, name: str, gate: Gate, done: asyncio.Task[bool]) -> None:
        del self._waiting[number]
        taken = not done.cancelled() and done.result()
        if taken:
            self._gates[name] = gate
            self._taken[name] += 1
        if not self._gone:
            self._writer.write(b"%s\n" % json.dumps([number, taken]).encode())

    def _leave(self, name: str) -> None:
        self._taken[name] -= 1
        self._gates[name].leave()
        if not self._taken[name]:
            del self._taken[name], self._gates[name]


@contextlib.asynccontextmanager
async def shared_state(path: Path) -> AsyncIterator[StateStore]:
    """Ask the supervisor at ``path`` while the block runs. Raises OSError where nobody is there."""
    reader, writer = await asyncio.open_unix_connection(path)
    shared = _Shared(writer)
    task = asyncio.create_task(shared.listen(reader))
    try:
        yield shared
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


class _Shared:
    """The store, as a worker sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer: Final = writer
        self._numbers: Final = itertools.count()
        # Those who wait for an answer, and for what.
        self._asked: Final[dict[int, tuple[str, asyncio.Future[bool]]]] = {}
        self._lost = False

    def gate(self, name: str) -> "_SharedGate":
        """Return the gate of a name."""
        return _SharedGate(self, name)

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Hear the answers until there are no more."""
        try:
            while line := await reader.readline():
                number, taken = json.loads(line)
                name, answer = self._asked.pop(number)
                if not answer.done():
                    answer.set_result(taken)
                elif taken:
                    # Whoever asked has left meanwhile.
                    self.leave(name)
        finally:
            self._lost = True
            for _, answer in self._asked.values():
                if not answer.done():
                    answer.set_result(True)

    async def take(self, name: str, limit: int, queue: int, patience: float) -> bool:
        """Take a place. Without its supervisor a worker drains: it turns nobody away for that time."""
        if self._lost:
            return True
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._asked[number] = name, answer
        self._say("take", number, name, limit, queue, patience)
        try:
            # Who has no patience at all may still find a place free.
            async with asyncio.timeout(max(0.0, patience) + _LATE):
                return bool(await answer)
        except BaseException as error:
            if answer.done() and not answer.cancelled():
                # The place came just as its caller went.
                if answer.result():
                    self.leave(name)
            else:
                self._say("give up", number)
            if isinstance(error, TimeoutError):
                return False
            raise

    def leave(self, name: str) -> None:
        """Give a place back."""
        self._say("leave", name)

    def _say(self, *words: Any) -> None:
        if not self._lost:
            self._writer.write(b"%s\n" % json.dumps(words).encode())


class _SharedGate:
    """One gate of the store that workers share."""

    def __init__(self, shared: _Shared, name: str) -> None:
        self._shared: Final = shared
        self._name: Final = name
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many calls of this process wait."""
        return self._waiting

    async def take(self, limit: int, queue: int, patience: float) -> bool:
        """Take a place, waiting for one for ``patience`` seconds at most. False: none came."""
        self._waiting += 1
        try:
            return await self._shared.take(self._name, limit, queue, patience)
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Give the place back."""
        self._shared.leave(self._name)
