"""LiteLLM as a client, in an environment of its own: it is heavy, and its pins are not Portico's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clients.made import made
from tests.support.engine import Engine
from tests.support.gateway import serve

_CLIENT = Path(__file__).parent / "litellm/client.py"
_LOCK = Path(__file__).parents[3] / "requirements/peers.txt"
CONFIG = """
backends: {{engine: {{dialect: openai, url: {url}}}, dummy: {{dialect: dummy}}}}
models: {{gpt-4: engine/tiny-chat}}
"""


@pytest.fixture(scope="module")
def told(running_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What LiteLLM read of a real engine's answers and of errors."""
    install = "venv/bin/pip", "install", "-q", "--require-hashes", "-r", "peers.txt"
    lock = {"peers.txt": _LOCK.read_bytes()}
    folder = made("litellm", lock, (sys.executable, "-m", "venv", "venv"), install)
    config = tmp_path_factory.mktemp("config") / "portico.yaml"
    config.write_text(CONFIG.format(url=running_engine.url), encoding="utf-8")
    # Its table of prices would be fetched from the network.
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with serve(config) as gateway:
        command = str(folder / "venv/bin/python"), str(_CLIENT), gateway.url, "gpt-4"
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.nightly
def test_it_completes_and_streams(told: Any) -> None:
    assert told["finish_reason"] in {"stop", "length"}
    assert told["content"] == "".join(told["streamed"])
    assert len(told["streamed"]) > 5
    assert told["streamed_tokens"] == [told["total_tokens"]]


@pytest.mark.nightly
def test_it_calls_tools(told: Any) -> None:
    name, arguments = told["called"][0]
    assert name == "get_weather"
    assert json.loads(arguments)["city"] in {"Rome", "Oslo"}


@pytest.mark.nightly
def test_its_errors_have_their_class(told: Any) -> None:
    assert told["unknown"] == {"class": "NotFoundError", "status": 404}
    assert told["refused"] == {"class": "BadRequestError", "status": 400}
