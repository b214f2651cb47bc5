"""Where a model's name leads, and who takes over: as callers of a running gateway see it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from portico.testing.upstream import Upstream
from portico.testing.wire import HANG, Script, head
from portico_core.config import Timeouts
from tests.end_to_end.backends import asked, chat, curl, gateway, ollama_backend
from tests.support.gateway import Gateway

HELLO: Any = [{"role": "user", "content": "hello"}]
ROUTES = """
backends:
  east: {dialect: dummy}
  west: {dialect: dummy}
namespaces: {default: east, cloud: [east, west]}
models:
  gpt-4: west/echo-1
  "gpt-*": east/echo-1
"""


#: By exact name, backend/model, namespace/model, the namespace that may be left out, wildcard, default.
LEADS_TO = {
    "gpt-4": "west/echo-1",
    "west/story-1": "west/story-1",
    "cloud/story-1": "east/story-1",
    "default/echo-1": "east/echo-1",
    "echo-1": "east/echo-1",
    "gpt-5-nano": "east/echo-1",
    "made-up": "east/story-1",
}


def test_a_name_leads_to_a_backend(gateways: Callable[[str], Gateway]) -> None:
    with gateways(ROUTES + "default: east/story-1\n").sdk() as sdk:
        for model, served in LEADS_TO.items():
            answered = sdk.chat.completions.with_raw_response.create(model=model, messages=HELLO)
            assert (answered.headers["x-portico-model"], answered.parse().model) == (served, model)


def test_an_unknown_name_is_not_found_unless_there_is_a_default(gateways: Callable[[str], Gateway]) -> None:
    running = gateways(ROUTES.replace("default: east, ", ""))
    with running.sdk() as sdk, pytest.raises(openai.NotFoundError) as unknown:
        sdk.chat.completions.create(model="made-up", messages=HELLO)
    assert unknown.value.code == "model_not_found"


@pytest.mark.parametrize("silent", [[HANG], [head(), HANG]], ids=["before the headers", "after them"])
async def test_ollama_takes_over_from_a_gateway_that_is_silent(tmp_path: Path, silent: Script) -> None:
    """After ``timeouts.silence``, which is 30 s unless it is configured."""
    assert Timeouts().silence == 30
    async with Upstream(silent) as remote, Upstream(ollama_backend("local")) as ollama:
        file = tmp_path / "gateway.yaml"
        file.write_text(
            f"""
backends:
  gateway: {{dialect: openai, url: '{remote.url}/v1', models: [m]}}
  ollama: {{dialect: ollama, url: '{ollama.url}'}}
models: {{gpt-4: [gateway/m, ollama/qwen2.5:32b]}}
timeouts: {{silence: 400ms}}
""",
            encoding="utf-8",
        )
        async with gateway(tmp_path, config=file) as running, curl(running) as client:
            began = time.monotonic()
            answered = await client.post("/v1/chat/completions", json=chat("gpt-4"))
            assert 0.4 <= time.monotonic() - began < 10
            assert answered.json()["choices"][0]["message"]["content"] == "local"
            assert answered.headers["x-portico-attempts"] == "2"
            assert len(asked(remote)) == 1
            await remote.closed()
