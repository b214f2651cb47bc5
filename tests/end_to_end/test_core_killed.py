"""Core and facade apart: the facade outlives its core and says so."""

import itertools
import signal
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.gateway import core, facade

HELLO: Any = [{"role": "user", "content": "tell me"}]
SLOW = "backends: {dummy: {dialect: dummy, pace: 0.05}}\n"


def test_killing_the_core_in_mid_stream(tmp_path: Path) -> None:
    """An error event ends the stream, 503 comes at once meanwhile, and service is back within 2 s."""
    config = tmp_path / "portico.yaml"
    config.write_text(SLOW, encoding="utf-8")
    socket = f"unix:{tmp_path}/core.sock"
    with core(socket, config) as first, facade(socket) as front:
        sdk = openai.OpenAI(base_url=f"http://{front.address}/v1", api_key="none", max_retries=0)
        stream = sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True)
        assert len(list(itertools.islice(stream, 3))) == 3
        first.process.popen.send_signal(signal.SIGKILL)
        with pytest.raises(openai.APIError, match="core"):
            list(stream)

        asked = time.monotonic()
        with pytest.raises(openai.InternalServerError) as away:
            sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
        assert away.value.status_code == 503
        assert time.monotonic() - asked < 0.5

        with core(socket, config):
            back = time.monotonic()
            while True:
                try:
                    answer = sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
                    break
                except openai.InternalServerError:
                    assert time.monotonic() - back < 2
            assert answer.choices[0].message.content == "tell me"


def test_a_draining_core_finishes_its_streams(tmp_path: Path) -> None:
    """SIGTERM: the running stream ends whole, new calls are refused, and the exit status is 0."""
    config = tmp_path / "portico.yaml"
    config.write_text(SLOW, encoding="utf-8")
    with core(f"unix:{tmp_path}/core.sock", config) as back, facade(back.address) as front:
        sdk = openai.OpenAI(base_url=f"http://{front.address}/v1", api_key="none", max_retries=0)
        stream = sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True)
        next(stream)
        back.process.popen.send_signal(signal.SIGTERM)
        back.process.wait_for("draining")
        with pytest.raises(openai.InternalServerError) as refused:
            sdk.chat.completions.create(model="dummy/echo-1", messages=HELLO)
        assert refused.value.status_code == 503
        assert [choice.finish_reason for chunk in stream for choice in chunk.choices][-1] == "stop"
        assert back.process.popen.wait(10) == 0


def test_a_draining_facade_finishes_its_streams(tmp_path: Path) -> None:
    """SIGTERM: the running stream ends whole and the exit status is 0."""
    config = tmp_path / "portico.yaml"
    config.write_text(SLOW, encoding="utf-8")
    with core(f"unix:{tmp_path}/core.sock", config) as back, facade(back.address) as front:
        sdk = openai.OpenAI(base_url=f"http://{front.address}/v1", api_key="none", max_retries=0)
        stream = sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True)
        next(stream)
        front.process.popen.send_signal(signal.SIGTERM)
        assert [choice.finish_reason for chunk in stream for choice in chunk.choices][-1] == "stop"
        assert front.process.popen.wait(10) == 0
