"""How many CPUs this process may use: what the kernel schedules it on, and what its container is given."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self/cgroup")
_CGROUPS: Final = Path("/sys/fs/cgroup")


def cpus() -> int:
    """Return how many, 1 at least."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not there on every platform
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *quotas(_PROC, _CGROUPS)]))


def quotas(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield the CPUs, rounded up, that each cgroup around this process is given at the most.

    ``proc``: the file that names its cgroup, as cgroups(7) describes it; ``cgroups``: where they are mounted.
    A container sees its own as the root of all. Where nothing can be read there is no limit.
    """
    lines = (_read(proc) or "").splitlines()
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    for folder in (cgroups / own, *(cgroups / own).parents):
        found = _read(folder / "cpu.max")
        if found is not None:
            yield from _cpus(*found.split())
        if folder == cgroups:
            break
    first_version = cgroups / "cpu"
    quota, period = (_read(first_version / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota is not None and period is not None:
        yield from _cpus(quota.strip(), period.strip())


def _cpus(quota: str, period: str) -> Iterator[int]:
    """Yield quota / period, unless the quota is none: ``max``, or -1 in the first version."""
    if quota.isdecimal():
        yield math.ceil(int(quota) / int(period))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return None
