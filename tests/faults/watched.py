"""``portico …`` that tells how many tasks it has: ``python -m tests.faults.watched core …``.

Whoever connects to the address on its first line gets the number, and is closed upon.
"""

import asyncio
import gc
import socketserver
import sys
import threading

from portico_facade.cli import main


def tasks() -> list[str]:
    """Return what every task runs that is not over."""
    found = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]
    return [getattr(each.get_coro(), "__qualname__", "?") for each in found]


class _Tells(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write("\n".join(tasks()).encode())


if __name__ == "__main__":
    server = socketserver.TCPServer(("127.0.0.1", 0), _Tells)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"tasks are told at {server.server_address[1]}", flush=True)
    sys.exit(main())
