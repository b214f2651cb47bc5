"""The server that replays recorded exchanges, as a process."""

import contextlib
import sys
from collections.abc import Iterator

from tests.support.processes import process
from tests.support.shared import shared


@contextlib.contextmanager
def replay(*providers: str, chunk: str = "event") -> Iterator[str]:
    """Yield the server's URL. ``chunk``: event, all, byte or a number of bytes a write.

    ``{url}/@{case}`` as a base URL chooses a case.
    """
    folders = [str(shared("corpus", provider, "open")) for provider in providers]
    command = (
        sys.executable,
        str(shared("replay", "replay_server.py")),
        *folders,
        "--port",
        "0",
        "--chunk",
        chunk,
    )
    with process(*command) as started:
        yield started.wait_for("READY").split()[1]
