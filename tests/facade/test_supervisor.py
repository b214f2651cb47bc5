"""The supervisor of ``portico serve``, where its processes cannot even be made."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from portico_facade.cli.keeper import Keeper
from portico_facade.cli.supervisor import supervise


async def test_processes_that_cannot_be_made_end_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where the system has no more processes or descriptors to give: it is told, and nobody waits."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        keepers = [Keeper(f"worker {number}", ["worker"], lock) for number in range(3)]
        async with asyncio.timeout(10):
            assert await supervise((keepers,), lambda _: None) == 1
    finally:
        os.close(lock)
    assert "the worker 2 cannot be started: " in caplog.text
