"""The folder of one ``portico serve``: its core's socket stands there, which no other user may reach.

A gateway that is killed leaves its folder behind, and the next one takes it away. Whether a folder is in
use is told by a lock on it, which the supervisor and its children share: the kernel gives it back when the
last of them is gone, however it went. (An abstract socket would vanish by itself, but any user may dial it.)
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from portico_facade.cli.common import UsageError

_PREFIX: Final = "portico-serve-"

#: Bytes of the folder's path: Linux takes 107 of a socket's, and the names in it have 20 (``gathering``).
_LONGEST: Final = 86


@contextlib.contextmanager
def run_folder() -> Iterator[tuple[Path, int]]:
    """Make a folder, and take away those that killed gateways of this user left.

    Yields the folder, which goes when the block ends, and the descriptor that holds its lock, for processes
    that may outlive this one. Raises UsageError where its path is too long for the sockets in it.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _sweep(left)
    folder, lock = _locked()
    try:
        if len(os.fsencode(folder)) > _LONGEST:
            raise UsageError(
                f"{folder} is too long a path for sockets. Set TMPDIR to a folder with a shorter one."
            )
        yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked() -> tuple[Path, int]:
    """Make a folder and lock it; make another where somebody swept it in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _sweep(folder: Path) -> None:
    """Take a folder away if it is this user's and no process holds its lock."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # somebody else's, gone, or no folder
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # in use
    finally:
        os.close(lock)
