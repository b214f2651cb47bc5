"""What several commands share."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from portico.client import Client

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


def checked_address(option: str, text: str) -> str:
    """Return the address of an option; raise UsageError where it is none."""
    from portico.config import address

    found = address(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no address. Write HOST:PORT, :PORT or unix:/PATH.")
    return found


def add_core(parser: argparse.ArgumentParser) -> None:
    """Add to a command how it reaches a running core, and with which key."""
    add_target(parser)
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="a key for the gateway, where it asks for one (default: PORTICO_API_KEY of the environment)",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add to a command where a running core is."""
    parser.add_argument(
        "--grpc",
        default="localhost:50051",
        metavar="TARGET",
        help="the core: HOST:PORT, unix:/PATH or dns:///NAME:PORT (default: %(default)s)",
    )


def api_key(options: argparse.Namespace) -> str | None:
    """Return the key to show to a gateway."""
    return options.api_key or os.environ.get("PORTICO_API_KEY")


def ask_core(options: argparse.Namespace, ask: Callable[["Client"], int], timeout: float | None = 10) -> int:
    """Call a running core; tell why it failed and return 1 where it did. ``timeout``: seconds per call."""
    from portico.client import APIError, Client, UnavailableError

    try:
        with Client(options.grpc, api_key=api_key(options), timeout=timeout) as client:
            return ask(client)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except APIError as error:
        where = f" ({options.grpc})" if isinstance(error, UnavailableError) else ""
        print(f"portico: {error}{where}", file=sys.stderr)
        return 1


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows of texts out in columns."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in (heads, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)


# More than the streams that one process can serve.
_SOCKETS: Final = 65_536


def run(main: Coroutine[Any, Any, None]) -> int:
    """Run a server's coroutine to its end on the fastest event loop that is installed.

    Raises UsageError for what the server finds wrong in its configuration.
    """
    from prometheus_client import disable_created_metrics

    from portico.config import ConfigError

    # When a counter began is a second series for each, and no dashboard asks for it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    if os.environ.get(SUPERVISED):
        _end_with_parent()
    _allow_connections()
    try:
        import uvloop
    except ImportError:
        loop_factory = None  # not there on every platform
    else:
        loop_factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        print(f"portico: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _allow_connections() -> None:
    """Use as many sockets as the system allows: each stream takes one or two, and shells grant 1,024."""
    try:
        import resource
    except ImportError:
        return  # not there on every platform
    granted, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SOCKETS if allowed == resource.RLIM_INFINITY else min(allowed, _SOCKETS)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))


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
