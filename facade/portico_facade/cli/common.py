"""What several commands share."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

#: Read when --config is not given and the file is there.
DEFAULT_CONFIG: Final = Path("portico.yaml")

#: Set for the processes of ``portico serve``: they end when their standard input does.
SUPERVISED: Final = "PORTICO_SUPERVISED"


class UsageError(Exception):
    """Something the user can mend; its message says how."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config to a command."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration (default: portico.yaml in this folder; without one, the environment)",
    )


def config_path(options: argparse.Namespace) -> Path | None:
    """Return the configuration file to read. None: there is none, and the environment decides."""
    path: Path | None = options.config
    if path is not None:
        return path
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None


def run(main: Coroutine[Any, Any, None]) -> int:
    """Run a server's coroutine to its end on the fastest event loop that is installed."""
    if os.environ.get(SUPERVISED):
        _end_with_parent()
    try:
        import uvloop
    except ImportError:
        loop_factory = None  # not there on every platform
    else:
        loop_factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main)
    except OSError as error:
        print(f"portico: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def announce(what: str) -> Callable[[str], None]:
    """Return a callback that says on stdout where ``what`` listens, for people and for supervisors."""
    return lambda address: print(f"portico {what} is ready on {address}", flush=True)


def _end_with_parent() -> None:
    """Drain when the supervisor is gone, however it went: its end of our stdin closes with it."""

    def watch() -> None:
        # Not through sys.stdin: Python aborts at its end when a thread holds that object's lock.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
