"""Signs of life: a supervised process writes an empty line on its stdout as long as its event loop turns.

A process whose loop hangs keeps its share of the connections and answers none of them, and all that its
supervisor would see is that it has not died.
"""

import asyncio
import os
import sys
from typing import Final

#: Seconds between two signs.
PERIOD: Final = 5.0
#: Seconds without one after which a process hangs: far more than any work holds a loop up for.
PATIENCE: Final = 30.0

_SIGN: Final = b"\n"
_STDOUT: Final = 1


def beat() -> None:
    """Give a sign now and from now on, while the loop that runs does."""
    try:
        os.write(_STDOUT, _SIGN)
    except OSError:
        return  # the supervisor is gone, and nobody else listens
    asyncio.get_running_loop().call_later(PERIOD, beat)


async def falls_silent(stdout: asyncio.StreamReader) -> bool:
    """Wait until a process hangs (True) or has closed its stdout (False); write on ours what else it says."""
    while True:
        try:
            line = await _line(stdout, PATIENCE)
        except TimeoutError:
            try:
                # Perhaps we were stopped ourselves, and its signs wait for us.
                line = await _line(stdout, PERIOD)
            except TimeoutError:
                return True
        if not line:
            return False
        if line != _SIGN:
            sys.stdout.buffer.write(line)
            sys.stdout.flush()


async def _line(stdout: asyncio.StreamReader, seconds: float) -> bytes:
    async with asyncio.timeout(seconds):
        try:
            return await stdout.readline()
        except ValueError:
            return _SIGN  # longer than a reader's buffer: it speaks, whatever it says
