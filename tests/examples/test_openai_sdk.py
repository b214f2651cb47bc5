"""examples/openai_sdk runs as it is told to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, serve
from tests.support.processes import process

SCRIPT = Path(__file__).parents[2] / "examples/openai_sdk/chat.py"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serve() as started:
        yield started


def test_it_lists_answers_streams_and_meets_an_error(gateway: Gateway) -> None:
    command = (sys.executable, str(SCRIPT), "--base-url", gateway.url, "--model", "dummy/echo-1", "good day")
    with process(*command) as script:
        assert script.popen.wait(60) == 0, script.output
    lines = dict(line.split(": ", 1) for line in script.lines)
    assert lines["models"] == "dummy/echo-1 dummy/story-1"
    assert lines["answer"] == lines["stream"] == "good day"
    assert lines["served by"] == "dummy/echo-1"
    assert lines["usage"].endswith("tokens")
    assert lines["error"].startswith("404 model_not_found, request id ")
    assert lines["error"].split()[-1] != "None"


def test_it_says_when_nobody_answers() -> None:
    with process(sys.executable, str(SCRIPT), "--base-url", "http://127.0.0.1:1/v1") as script:
        assert script.popen.wait(60) == 1
    assert script.lines[-1].startswith("failed: ")
    assert "Traceback" not in script.output
