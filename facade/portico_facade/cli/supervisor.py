"""Child processes that start in order, come back when they die, and stop in the opposite order."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from portico_facade.cli.common import SUPERVISED

_log = logging.getLogger("portico.supervisor")

# Seconds before a child that died is started again: at once the first time, later with patience.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
#: A child that ran for so many seconds has recovered: the next pause is the first again.
_RECOVERED: Final = 60.0


class Child:
    """One ``portico`` command as a process of its own."""

    def __init__(self, name: str, arguments: Sequence[str], kept: int, *, reloads: bool = False) -> None:
        """``kept``: a file descriptor that the process holds open as long as it runs.

        ``reloads``: it reads its configuration again on SIGHUP; any other process would end.
        """
        self.name = name
        self.reloads = reloads
        self._arguments = arguments
        self._kept = kept
        self._process: asyncio.subprocess.Process | None = None

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
            pass_fds=(self._kept,),
        )
        if self._process.stdout is None:
            raise RuntimeError("a child's stdout is a pipe")
        line = (await self._process.stdout.readline()).decode()
        return line.rpartition(" on ")[2].strip() or None

    async def ended(self) -> int:
        """Wait for the process to end; return its exit status."""
        return 0 if self._process is None else await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


async def supervise(tiers: Sequence[Sequence[Child]], ready: Callable[[Mapping[Child, str]], None]) -> int:
    """Run children until SIGTERM or SIGINT, then drain them; SIGHUP goes to those that reload.

    Those of a tier start and drain together; a tier starts when those before it are ready, and drains before
    they do. ``ready`` is called once, with the address of each child. A second signal stops the children
    without waiting for running calls. Returns the exit status: that of a child that could not start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    children = [child for tier in tiers for child in tier]

    def stopping(number: signal.Signals) -> None:
        if stop.is_set():
            for child in reversed(children):
                child.signal(number)
        stop.set()

    def reloading() -> None:
        for child in children:
            if child.reloads:
                child.signal(signal.SIGHUP)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping, number)
    loop.add_signal_handler(signal.SIGHUP, reloading)

    addresses: dict[Child, str] = {}
    for tier in tiers:
        started = await asyncio.gather(*(child.start() for child in tier))
        for child, address in zip(tier, started, strict=True):
            if address is None:
                # Before it is sent a signal: that would take its exit status from whoever waits for it.
                status = await child.ended()
                await _drain(tiers)
                return status or 1
            addresses[child] = address
    ready(addresses)

    keepers = [asyncio.create_task(_keep(child, stop)) for child in children]
    await stop.wait()
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    await _drain(tiers)
    return 0


async def _keep(child: Child, stop: asyncio.Event) -> None:
    """Start the child again whenever it ends."""
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while True:
        started = loop.time()
        status = await child.ended()
        if stop.is_set():
            return
        if loop.time() - started > _RECOVERED:
            pause = _FIRST_PAUSE
        _log.error("the %s ended with status %s; starting it again in %.1f s", child.name, status, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        await child.start()


async def _drain(tiers: Sequence[Sequence[Child]]) -> None:
    for tier in reversed(tiers):
        for child in tier:
            child.signal(signal.SIGTERM)
        await asyncio.gather(*(child.ended() for child in tier))
