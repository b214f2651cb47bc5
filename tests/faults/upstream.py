"""The scripted upstream as a process: ``python -m tests.faults.upstream``.

It tells on stdout where it listens, where every connection is refused, and where connecting never ends.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from tests.faults.server import Server

# More than a queue of no length takes.
_FILLERS = 8


@contextlib.contextmanager
def refused() -> Iterator[int]:
    """Yield a port on which every connection is refused."""
    with socket.socket() as bound:
        # Bound, so that nobody else gets the port; not listening.
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def blackhole() -> Iterator[int]:
    """Yield a port on which connecting never ends: its queue is full, and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Server().connected, "127.0.0.1", 0, backlog=1024)
    with refused() as nobody, blackhole() as hole:
        port = server.sockets[0].getsockname()[1]
        print(f"upstream is ready on {port} refused {nobody} blackhole {hole}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
