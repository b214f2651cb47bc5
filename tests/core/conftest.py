"""The core runs on uvloop where it is installed, and so do the tests of what touches the loop."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from portico_core.resilience import plan

_ON_BOTH_LOOPS = {
    *("test_backend_over_http", "test_cancel", "test_chat", "test_stream"),
    *("test_drain", "test_server", "test_service"),
    *("test_link_cancel", "test_link_credit", "test_link_ends", "test_link_hostile"),
}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of these modules once on each loop, all others on Python's own."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in _ON_BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is tried again be tried at once: how long the pauses are is the affair of test_plan."""
    for name in ("_FIRST", "_FIRST_WHEN_BUSY"):
        monkeypatch.setattr(plan, name, 0.001)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="portico-") as name:
        yield Path(name)
