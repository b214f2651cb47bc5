"""What every server's process does once it is ready."""

import asyncio
import gc

import pytest

from portico_facade.cli import heartbeat
from portico_facade.cli.running import SUPERVISED, announce


def test_a_process_that_is_ready_says_so_and_is_not_searched_for_garbage_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it has loaded stays: to look through it time and again would hold its streams up."""
    try:
        announce("core")("127.0.0.1:1")
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
    assert capsys.readouterr().out == "portico core is ready on 127.0.0.1:1\n"


async def test_a_supervised_process_gives_signs_of_life_while_its_loop_turns(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty lines, which mean nothing to whoever reads its output."""
    monkeypatch.setattr(heartbeat, "PERIOD", 0.01)
    monkeypatch.setenv(SUPERVISED, "1")
    said = ""
    try:
        announce("worker")("127.0.0.1:1")
        async with asyncio.timeout(5):
            while said.count("\n") < 4:
                said += capfd.readouterr().out
                await asyncio.sleep(0.01)
    finally:
        gc.unfreeze()
    assert said.strip() == "portico worker is ready on 127.0.0.1:1"
