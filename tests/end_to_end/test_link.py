"""Core and facade apart, with calls over their links: killed, stopped and replaced."""

import contextlib
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.gateway import Part, core
from tests.support.processes import Process, portico

HELLO: Any = [{"role": "user", "content": "tell me"}]
SLOW = "backends: {dummy: {dialect: dummy, pace: 0.05}}\n"
OPEN = "a link to the core is open"
STREAMS = 10


@dataclass(frozen=True)
class Front:
    """A facade whose links are open."""

    sdk: openai.OpenAI
    process: Process

    def links(self) -> None:
        """Wait for two more links."""
        self.process.wait_for(OPEN)
        self.process.wait_for(OPEN)

    def story(self) -> Iterator[Any]:
        return iter(self.sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True))

    def stories(self) -> list[Iterator[Any]]:
        """Begin streams, each with its first token."""
        streams = [self.story() for _ in range(STREAMS)]
        for stream in streams:
            next(stream)
        return streams


@contextlib.contextmanager
def front(target: str) -> Iterator[Front]:
    arguments = ("facade", "--listen", "127.0.0.1:0", "--core", target)
    with portico(*arguments, env={"LOG_LEVEL": "debug"}) as process:
        address = process.wait_for("facade is ready on").split()[-1]
        url = f"http://{address}/v1"
        there = Front(openai.OpenAI(base_url=url, api_key="none", max_retries=0), process)
        there.links()
        yield there
    assert "never retrieved" not in process.output
    assert "Traceback" not in process.output


@pytest.fixture
def place(tmp_path: Path) -> tuple[str, Path]:
    """A core's address, and the configuration of a slow one."""
    config = tmp_path / "portico.yaml"
    config.write_text(SLOW, encoding="utf-8")
    return f"unix:{tmp_path}/core.sock", config


def ends_well(stream: Iterator[Any]) -> bool:
    return bool([choice.finish_reason for chunk in stream for choice in chunk.choices][-1] == "stop")


def ends_ill(stream: Iterator[Any]) -> bool:
    with pytest.raises(openai.APIError, match="core"):
        list(stream)
    return next(stream, None) is None


def all_of(check: Any, streams: list[Iterator[Any]]) -> bool:
    with ThreadPoolExecutor(STREAMS) as pool:
        return all(pool.map(check, streams))


def quiet(part: Part) -> None:
    assert "never retrieved" not in part.process.output
    assert "Traceback" not in part.process.output


def test_killing_a_core_fails_each_stream_once_and_its_links_come_back(place: tuple[str, Path]) -> None:
    """Every stream ends with an error event; two seconds after the core is back so are its links."""
    with core(*place) as first, front(place[0]) as there:
        streams = there.stories()
        first.process.popen.send_signal(signal.SIGKILL)
        assert all_of(ends_ill, streams)
        with pytest.raises(openai.InternalServerError) as away:
            there.sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
        assert away.value.status_code == 503
        first.process.popen.wait(10)
        with core(*place):
            back = time.monotonic()
            there.links()
            assert time.monotonic() - back < 2
            there.sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
        # gRPC's own words have five lines, and each call would say them.
        assert "AioRpcError" not in there.process.output
        assert "calls under way: UNAVAILABLE: " in there.process.output


def test_a_core_that_is_replaced_finishes_its_streams(place: tuple[str, Path]) -> None:
    """Links to the next one open while the old one still serves its last calls."""
    with core(*place) as old, front(place[0]) as there:
        streams = there.stories()
        old.process.popen.send_signal(signal.SIGTERM)
        old.process.wait_for("draining")
        with core(*place) as new:
            there.links()
            assert old.process.popen.poll() is None
            there.sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
            assert all_of(ends_well, streams)
            assert old.process.popen.wait(10) == 0
            quiet(old)
            quiet(new)


def test_a_facade_that_stops_finishes_its_streams(place: tuple[str, Path]) -> None:
    """They come whole, both halves end well, and the core has nothing left."""
    with core(*place) as back, front(place[0]) as there:
        streams = there.stories()
        there.process.popen.send_signal(signal.SIGTERM)
        assert all_of(ends_well, streams)
        assert there.process.popen.wait(10) == 0
        assert back.process.stop() == 0
        quiet(back)
