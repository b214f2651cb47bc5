"""A gateway that counts what it does: ``python -m tests.bench.counted CONFIG``, or a command.

With a configuration alone it is a whole gateway in one process; ``core …`` and ``facade …`` are the commands.
On SIGUSR1 it prints ``counted``, the calls of Python and C functions on its event loop's thread so far, and
the blocks of memory that Python holds then.
"""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import count
from types import FrameType
from typing import Any, Final

_CALLS: Final = frozenset({"call", "c_call"})


def _count(calls: "Iterator[int]") -> None:
    """Count the calls of this thread from now on: one each, of Python and of C."""
    add = calls.__next__

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        if event in _CALLS:
            add()

    sys.setprofile(profile)


async def _whole(config: str) -> None:
    from portico_facade.embedded import EmbeddedGateway

    async with EmbeddedGateway(config, http="127.0.0.1:0") as gateway:
        print("ready on", gateway.http, flush=True)
        await asyncio.Event().wait()


def _tell(calls: "Iterator[int]") -> None:
    """Print the counts whenever SIGUSR1 comes, on a thread that is not counted."""
    seen = 0
    while True:
        signal.sigwait({signal.SIGUSR1})
        # Looking counts one too.
        now = next(calls) - seen
        seen += 1
        gc.collect()
        print("counted", now, sys.getallocatedblocks(), flush=True)


def main() -> None:
    """Run until killed."""
    from portico_facade.cli import main as portico

    calls = count()
    # Blocked on all threads, so that it waits for the one that asks for it, and wakes no event loop.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    threading.Thread(target=_tell, args=(calls,), daemon=True).start()
    _count(calls)
    if sys.argv[1] in ("core", "facade"):
        sys.exit(portico(sys.argv[1:]))
    import uvloop

    uvloop.run(_whole(sys.argv[1]))


if __name__ == "__main__":
    main()
