"""CPU and memory of process trees, from Linux."""

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += tree(int(child))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return user and system time of processes, their past threads included.

    By their CPU clocks, which count nanoseconds, where /proc/PID/stat counts ticks of 10 ms. What
    clock_getcpuclockid(3) returns is the inverted id, shifted, and 2 for the scheduler's own count.
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def rss_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes; pages that they share count for each."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE for pid in pids)


def listeners(port: int) -> list[int]:
    """Return the trees of those that listen on a TCP port; none where they are not on this machine."""
    inodes = {
        fields[9]
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
    }
    owners = {int(folder.name) for folder in Path("/proc").glob("[0-9]*") if inodes & set(_sockets(folder))}
    return sorted({each for owner in owners for each in tree(owner)})


def _sockets(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for file in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file)):
                    yield match[1]
