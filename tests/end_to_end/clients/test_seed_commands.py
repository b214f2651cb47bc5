"""What the seeds tell users to type works as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clients.programs import node
from tests.end_to_end.clients.seed_commands import CURL, NODE_000, PYTHON_004
from tests.support.gateway import Gateway, serve
from tests.support.shared import shared

#: The names that the seeds use, all served by the dummy backend; 003 asks for keys.
_NAMES = (
    "backends: {default: {dialect: dummy}, azure: {dialect: dummy}, dummy: {dialect: dummy}}\n"
    "models: {gpt-4: default/echo-1, gpt-4o: default/echo-1, azure/gpt-4o: azure/echo-1,"
    " gpt-3.5-turbo: default/echo-1, gpt-3.5-turbo-instruct: default/echo-1}\n"
)


def _served(folder: Path, keys: str = "") -> Iterator[Gateway]:
    file = folder / "portico.yaml"
    file.write_text(_NAMES + keys, encoding="utf-8")
    with serve(file) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from _served(tmp_path_factory.mktemp("open"))


@pytest.fixture(scope="module")
def gateway_with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from _served(tmp_path_factory.mktemp("keys"), "keys: {one: key1, two: key2}\n")


def _curl(name: str, gateway: Gateway, folder: Path) -> str:
    """Run a seed's command; a .curlrc leads the seeds' ports to the gateway, so that no word changes."""
    to = "".join(f'connect-to = "localhost:{port}:{gateway.http}"\n' for port in (3000, 3111, 8000))
    (folder / ".curlrc").write_text(f'silent\nshow-error\nmax-time = 30\nnoproxy = "*"\n{to}')
    env = {**os.environ, "CURL_HOME": str(folder), "GATEWAY_URL": "http://localhost:3111"}
    done = subprocess.run(("sh", "-c", CURL[name]), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _json(name: str, gateway: Gateway, folder: Path) -> Any:
    return json.loads(_curl(name, gateway, folder))


def _streamed(name: str, gateway: Gateway, folder: Path) -> str:
    """Return the text of a stream that begins with a role and ends with [DONE]."""
    *events, done = re.findall(r"^data: (.*)$", _curl(name, gateway, folder), re.MULTILINE)
    assert done == "[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert choices[-1]["finish_reason"] == "stop"
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_seed_000_curl(gateway: Gateway, tmp_path: Path) -> None:
    assert _json("000 health", gateway, tmp_path)["status"] == "ok"
    health, seconds = _curl("000 gateway health", gateway, tmp_path).rsplit("}", 1)
    assert json.loads(health + "}")["gateway"]["uptime"] > 0
    assert float(seconds) > 0
    assert "gpt-4" in [model["id"] for model in _json("000 models", gateway, tmp_path)["data"]]
    answer = _json("000 chat", gateway, tmp_path)
    assert answer["model"] == "gpt-4"
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "Explain TypeScript"
    assert answer["usage"]["total_tokens"] > 0
    assert _streamed("000 stream", gateway, tmp_path) == "List 5 ideas"


def test_seed_000_node_sdk(gateway: Gateway) -> None:
    program = NODE_000.replace("localhost:3111", gateway.http)
    folder = Path(node().command[1]).parent
    command = (
        "node",
        "--input-type=module",
        "-e",
        program + "\nconsole.log(response.choices[0].message.content)",
    )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "Hello, world!\n", done.stderr


def test_seed_002_curl(default_gateway: Gateway, tmp_path: Path) -> None:
    """On the gateway as it starts without any configuration."""
    models = _json("002 models", default_gateway, tmp_path)["data"]
    assert [model["id"] for model in models] == ["dummy/echo-1", "dummy/story-1"]
    answer = _json("002 chat", default_gateway, tmp_path)
    assert answer["choices"][0]["message"]["content"] == "hello proxy"
    assert len(_streamed("002 stream", default_gateway, tmp_path)) > 20
    parts = _json("002 text parts", default_gateway, tmp_path)
    assert "hello" in parts["choices"][0]["message"]["content"]
    assert "proxy" in parts["choices"][0]["message"]["content"]


def test_seed_003_curl(gateway_with_keys: Gateway, tmp_path: Path) -> None:
    for name, model in ("003 chat", "gpt-4o"), ("003 namespace", "azure/gpt-4o"):
        answer = _json(name, gateway_with_keys, tmp_path)
        assert (answer["model"], answer["choices"][0]["message"]["content"]) == (model, "Hello")
    models = [model["id"] for model in _json("003 models", gateway_with_keys, tmp_path)["data"]]
    assert {"gpt-4o", "azure/gpt-4o"} <= set(models)
    assert _json("003 health", gateway_with_keys, tmp_path)["status"] == "ok"


def test_seed_003_curl_generation(gateway_with_keys: Gateway, tmp_path: Path) -> None:
    answer = _json("003 generation", gateway_with_keys, tmp_path)
    assert (answer["object"], answer["model"]) == ("text_completion", "gpt-4o")
    assert answer["choices"][0]["text"]


def test_seed_004_curl(gateway: Gateway, tmp_path: Path) -> None:
    answer = _json("004 chat", gateway, tmp_path)
    assert answer["choices"][0]["message"]["content"] == "Hello, how are you?"


def test_seed_004_python_sdk(gateway: Gateway) -> None:
    program = PYTHON_004.replace("localhost:8000", gateway.http)
    env = {**os.environ, "OPENAI_API_KEY": "none"}
    command = sys.executable, "-c", program
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    chat, text, *rest = done.stdout.splitlines() or [done.stderr, ""]
    assert chat == "Hello, how are you?"
    assert text
    assert not rest


@pytest.mark.parametrize(
    ("number", "text"),
    [(name[:3], text) for name, text in CURL.items()] + [("000", NODE_000), ("004", PYTHON_004)],
    ids=[*CURL, "000 node", "004 python"],
)
def test_every_command_stands_in_its_seed(number: str, text: str) -> None:
    (seed,) = shared("seeds").glob(f"{number}_*.txt")
    assert text in seed.read_text(encoding="utf-8")
