"""The folder of ``portico serve``: it goes with the gateway, however that goes."""

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import serve
from tests.support.processes import portico


@pytest.fixture
def tmp() -> Iterator[Path]:
    """Yield a folder for temporary files, with a name that is short enough for a socket's."""
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        yield Path(folder)


def folders(tmp: Path) -> set[Path]:
    return set(tmp.glob("portico-serve-*"))


def test_what_a_killed_gateway_leaves_goes_with_the_next_start(tmp: Path) -> None:
    """But not what a running one, or its processes, need."""
    env = {"TMPDIR": str(tmp)}
    with serve(env=env) as first:
        (left,) = folders(tmp)
        with serve(env=env) as second:
            assert len(folders(tmp)) == 2
            assert first.sdk().models.list().data
            second.process.popen.send_signal(signal.SIGTERM)
            assert second.process.popen.wait(20) == 0
        assert folders(tmp) == {left}
        lock = os.open(left, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first.process.popen.kill()
        # Its processes drain, and then nobody holds the lock.
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(lock)
        assert folders(tmp) == {left}
    with serve(env=env):
        assert len(folders(tmp)) == 1
        assert left not in folders(tmp)
    assert not folders(tmp)


def test_a_folder_that_is_none_is_left_alone(tmp: Path) -> None:
    """A link to a folder may lead anywhere."""
    elsewhere = tmp / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp / "portico-serve-link").symlink_to(elsewhere)
    (tmp / "portico-serve-file").touch()
    with serve(env={"TMPDIR": str(tmp)}):
        assert (elsewhere / "file").exists()
        assert {tmp / "portico-serve-link", tmp / "portico-serve-file"} < folders(tmp)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_folder_whose_sockets_would_have_too_long_names_is_told(tmp_path: Path, workers: str) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    with portico("serve", "--workers", workers, env={"TMPDIR": str(folder)}) as process:
        assert process.popen.wait(20) == 2
    assert "Set TMPDIR to a folder with a shorter one." in process.output
    assert not list(folder.iterdir())
