"""Shells grant 1,024 open files; a gateway takes what the system allows."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import serve


@pytest.fixture
def few() -> Iterator[int]:
    """Grant this process, and those that it starts, 256 files; yield how many are allowed."""
    granted, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, allowed))
    yield allowed
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, allowed))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_every_process_that_serves_takes_more(few: int, workers: str) -> None:
    """Each of them reads its limit when it starts."""
    with serve(env={"WORKERS": workers}) as gateway:
        pid = gateway.process.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert children
        for child in children:
            line = next(
                each
                for each in Path(f"/proc/{child}/limits").read_text().splitlines()
                if each.startswith("Max open files")
            )
            assert int(line.split()[3]) == min(few, 65_536)
