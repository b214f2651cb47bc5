"""Where logs go: to stderr, or to files in LOG_DIR that are rotated by size.

Each process of ``serve``, ``core`` and ``facade`` has a folder of its own in LOG_DIR, named after the command
(``facade``; ``facade-2`` for a second facade that runs at the same time), and in it

- ``access.log``: a line per request (facade) or per call (core),
- ``portico.log``: everything else.
"""

import itertools
import logging
import os
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, TextIO

from portico_facade.cli.common import UsageError
from portico_facade.cli.log_lines import LineFormatter, TurnWriter

#: A file grows to so many bytes; so many older ones are kept beside it (access.log.1 is the newest).
FILE_BYTES: Final = 10_000_000
OLDER_FILES: Final = 9

#: Loggers with a line per request or call.
_ACCESS: Final = ("portico.access", "portico.calls")

# Open for as long as the process runs: the lock on it says that its folder is taken.
_locks: Final[list[TextIO]] = []


def configure(environ: Mapping[str, str], role: str) -> None:
    """Set logging up by LOG_LEVEL and LOG_DIR; raise UsageError where they cannot be followed.

    ``role`` names the folder in LOG_DIR. Empty: the process is no server and logs to stderr.
    """
    level = _level(environ.get("LOG_LEVEL") or "info")
    # To find out where a line is logged takes half of its time, and in which thread and process a third of
    # what is left then; no line says it (logging's HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    folder = environ.get("LOG_DIR")
    if not folder or not role:
        lines = logging.StreamHandler(TurnWriter(sys.stderr))
        lines.setFormatter(LineFormatter())
        logging.basicConfig(level=level, handlers=[lines])
        return
    try:
        own = _take(Path(folder), role)
        everything, access = _file(own / "portico.log"), _file(own / "access.log")
    except OSError as error:
        raise UsageError(
            f"LOG_DIR: no logs can be written to {folder}: {error.strerror}. Mend or unset it."
        ) from error
    logging.basicConfig(level=level, handlers=[everything])
    for name in _ACCESS:
        logger = logging.getLogger(name)
        logger.addHandler(access)
        logger.propagate = False


def _level(name: str) -> int:
    number = logging.getLevelNamesMapping().get(name.upper())
    if number is None:
        raise UsageError(f"LOG_LEVEL is {name!r}; set it to debug, info, warning or error")
    return number


def _take(folder: Path, role: str) -> Path:
    """Return a folder for this process alone: two processes that rotate one file lose its lines."""
    import fcntl  # not there on every platform where the other commands run

    for number in itertools.count(1):
        own = folder / (role if number == 1 else f"{role}-{number}")
        own.mkdir(parents=True, exist_ok=True)
        lock = (own / ".lock").open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _locks.append(lock)
        return own
    raise AssertionError("counting has no end")


def _file(path: Path) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=OLDER_FILES, encoding="utf-8")
    handler.setFormatter(LineFormatter())
    return handler
