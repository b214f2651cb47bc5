"""The supervisor of ``portico serve``, where its processes cannot even be made."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from portico_facade.cli import heartbeat
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


async def test_a_process_whose_loop_hangs_is_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that gives signs of life is left alone, and what else it says is passed on."""
    monkeypatch.setattr(heartbeat, "PATIENCE", 0.5)
    monkeypatch.setattr(heartbeat, "PERIOD", 0.1)
    starts = tmp_path / "starts"
    program = _program(tmp_path, f'echo "$3" >>{starts}; while [ "$3" = alive ]; do echo; sleep 0.05; done')
    monkeypatch.setattr(sys, "executable", program)
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        keepers = [Keeper(name, [name], lock) for name in ("stuck", "alive")]
        running = asyncio.create_task(supervise((keepers,), lambda _: None))
        async with asyncio.timeout(10):
            while not starts.exists() or starts.read_text().count("stuck") < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            signal.raise_signal(signal.SIGTERM)
            await running
    finally:
        os.close(lock)
    assert "the stuck hangs" in caplog.text
    assert "the stuck ended with status -9" in caplog.text
    assert starts.read_text().count("alive") == 1
    assert "the alive" not in caplog.text


def _program(folder: Path, script: str) -> str:
    """Return a program that says it is ready, and then does this; the third argument is its command."""
    path = folder / "program"
    path.write_text(f'#!/bin/sh\necho "portico is ready on nowhere"\n{script}\nexec sleep 60\n')
    path.chmod(0o700)
    return str(path)
