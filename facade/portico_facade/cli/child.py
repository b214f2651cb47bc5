"""One run of a ``portico`` command as a process of its own."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from portico_facade.cli.heartbeat import PATIENCE, falls_silent
from portico_facade.cli.running import SUPERVISED

_log: Final = logging.getLogger("portico.supervisor")


class Child:
    """A process, from its start to its end."""

    def __init__(self, name: str, arguments: Sequence[str], kept: Sequence[int], *, reloads: bool) -> None:
        """``name``: what the log calls it. ``kept``: file descriptors that the process has too.

        ``reloads``: it reads its configuration again on SIGHUP.
        """
        self._name = name
        self._arguments = arguments
        self._kept = kept
        self._reloads = reloads
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        # It read its configuration before that changed, maybe, and takes no signals yet.
        self._late = False
        self._listening: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process is not None and self._process.returncode is not None

    async def start(self) -> str | None:
        """Start the process; return the address that it is ready on. None: it ended before."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "portico_facade",
            *self._arguments,
            # The child drains when this pipe closes, which it does even if we are killed.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, SUPERVISED: "1"},
            # A terminal's Ctrl-C is for the supervisor, which stops the children in order.
            start_new_session=True,
            pass_fds=self._kept,
        )
        if self._process.stdout is None:
            raise RuntimeError("a child's stdout is a pipe")
        line = (await self._process.stdout.readline()).decode()
        self._ready = bool(line)
        if self._ready:
            self._listening = asyncio.create_task(self._listen(self._process.stdout))
        if self._ready and self._late:
            self.reload()
        return line.rpartition(" on ")[2].strip() or None

    async def ended(self) -> int:
        """Wait for the process to end; return its exit status, less than 0 if a signal ended it."""
        return 0 if self._process is None else await self._process.wait()

    def reload(self) -> None:
        """Have it read its configuration again."""
        self._late = not self._ready
        if self._reloads and self._ready:
            self.signal(signal.SIGHUP)

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        """End it where it hangs."""
        if await falls_silent(stdout):
            _log.error("the %s hangs: nothing of it was heard for %g s; it is killed", self._name, PATIENCE)
            self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
