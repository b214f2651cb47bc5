"""Things made once a machine from files here and a package registry: SDKs, programs, environments."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

#: Other users' folders are not trusted: what lies here is run.
_CACHE = Path(tempfile.gettempdir(), f"portico-clients-{os.getuid()}")


def made(name: str, sources: Mapping[str, bytes], *commands: Sequence[str]) -> Path:
    """Return a folder that holds ``sources`` and what ``commands``, run inside it, made of them.

    It is kept for later runs until a source or a command changes. Where a command fails, as without a
    registry, the test is skipped; in CI it fails.
    """
    _CACHE.mkdir(mode=0o700, exist_ok=True)
    if _CACHE.stat().st_uid != os.getuid():
        raise RuntimeError(f"{_CACHE} belongs to another user")
    digest = hashlib.sha256(repr((sorted(sources.items()), commands)).encode()).hexdigest()[:16]
    folder = _CACHE / f"{name}-{digest}"
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for path, text in sources.items():
                (unfinished / path).write_bytes(text)
            for command in commands:
                _run(command, unfinished)
            unfinished.rename(folder)
    return folder


def sources(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}


def _run(command: Sequence[str], cwd: Path) -> None:
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        reason = f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2000:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason.replace("\n", " ")[:300])
