"""One run of a ``portico`` command as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from portico_facade.cli.running import SUPERVISED


class Child:
    """A process, from its start to its end."""

    def __init__(self, arguments: Sequence[str], kept: Sequence[int], *, reloads: bool) -> None:
        """``kept``: file descriptors that the process has too.

        ``reloads``: it reads its configuration again on SIGHUP.
        """
        self._arguments = arguments
        self._kept = kept
        self._reloads = reloads
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        # It read its configuration before that changed, maybe, and takes no signals yet.
        self._late = False

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

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
