"""How a server's process runs: its event loop, its sockets, and what it owes to its supervisor."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final

from portico_facade.cli.common import UsageError
from portico_facade.cli.heartbeat import beat

#: Set for the processes of ``portico serve``: they end when their standard input does.
SUPERVISED: Final = "PORTICO_SUPERVISED"

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

    def ready(address: str) -> None:
        # Nine of ten objects of a loaded process are code and tables that stay: to look through them for
        # garbage holds every stream up for 30 to 50 ms, without them it is 3.
        gc.freeze()
        print(f"portico {what} is ready on {address}", flush=True)
        if os.environ.get(SUPERVISED):
            beat()

    return ready


def _end_with_parent() -> None:
    """Drain when the supervisor is gone, however it went: its end of our stdin closes with it."""

    def watch() -> None:
        # Not through sys.stdin: Python aborts at its end when a thread holds that object's lock.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
