"""What every server's process does once it is ready."""

import gc

import pytest

from portico_facade.cli.running import announce


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
