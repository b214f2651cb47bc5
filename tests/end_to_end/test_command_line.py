"""The command line as a user meets it."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import serve
from tests.support.processes import portico


@pytest.mark.parametrize("command", ["", "serve", "core", "facade", "check", "models", "status", "chat"])
def test_help_is_a_manual(command: str) -> None:
    """Every command explains itself without needing anything."""
    with portico(*command.split(), "--help") as process:
        assert process.popen.wait(10) == 0
    assert "usage: portico" in process.output
    assert len(process.output.splitlines()) > 8


def test_check_prints_the_routes(tmp_path: Path) -> None:
    file = tmp_path / "portico.yaml"
    file.write_text(
        "admin: 127.0.0.1:9090\nbackends: {d: {dialect: dummy}}\nmodels: {gpt-4: [d/echo-1, d/story-1]}\n",
        encoding="utf-8",
    )
    with portico("check", "--config", str(file)) as process:
        assert process.popen.wait(10) == 0
    assert "metrics of the core 127.0.0.1:9090" in process.output
    assert any("gpt-4" in line and "d/echo-1" in line and "d/story-1" in line for line in process.lines)


@pytest.mark.parametrize("command", ["check", "core", "serve"])
def test_a_mistake_names_file_line_key_and_remedy(tmp_path: Path, command: str) -> None:
    file = tmp_path / "portico.yaml"
    file.write_text("backends:\n  d:\n    dialect: dummy\n    paze: 1\n", encoding="utf-8")
    with portico(command, "--config", str(file)) as process:
        assert process.popen.wait(10) == 2
    assert f"{file}:4" in process.output
    assert "paze" in process.output
    assert "pace" in process.output
    assert "Traceback" not in process.output


def test_check_judges_the_workers_too(tmp_path: Path) -> None:
    with portico("check", env={"WORKERS": "many"}, cwd=tmp_path) as process:
        assert process.popen.wait(10) == 2
    assert "WORKERS=many is no number of workers" in process.output


def test_sockets_are_told_as_they_are_dialled(tmp_path: Path) -> None:
    """With a curl command that reaches the gateway."""
    http, grpc = tmp_path / "http.sock", tmp_path / "grpc.sock"
    with portico("serve", "--listen", f"unix:{http}", "--grpc", f"unix:{grpc}", cwd=tmp_path) as process:
        models = process.wait_for("  models ")
        command = models.removeprefix("  models").split()
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "dummy/echo-1" in answer.stdout
    assert f"  OpenAI API  unix:{http}" in process.lines
    assert f"  gRPC        unix:{grpc}" in process.lines


@pytest.mark.parametrize("command", ["check", "core", "serve"])
def test_a_proxy_that_cannot_be_used_is_a_mistake_of_the_configuration(tmp_path: Path, command: str) -> None:
    """Told with its variable and the backend, not with a traceback."""
    env = {"ALL_PROXY": "socks5://127.0.0.1:1080", "OPENAI_BASE_URL": "https://backend.invalid/v1"}
    with portico(command, env=env, cwd=tmp_path) as process:
        assert process.popen.wait(20) == 2
    assert "OPENAI_BASE_URL: backends.openai: ALL_PROXY names a socks5 proxy" in process.output
    assert "Traceback" not in process.output


def test_a_taken_port_is_told_and_ends_the_gateway() -> None:
    with serve() as first, portico("serve", "--listen", first.http, "--grpc", "127.0.0.1:0") as second:
        assert second.popen.wait(20) != 0
    assert f"portico: cannot listen on {first.http}: Address already in use" in second.lines


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_taken_port_for_the_metrics_is_told_too(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "portico.yaml").write_text(f"admin: {address}\nbackends: {{d: {{dialect: dummy}}}}\n")
        anywhere = ("--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
        with portico("serve", *anywhere, "--workers", workers, cwd=tmp_path) as process:
            assert process.popen.wait(20) != 0
    assert f"portico: cannot listen on {address}: Address already in use" in process.lines


def test_the_chat_command_says_when_nobody_answers() -> None:
    with portico("chat", "hello", "--grpc", "127.0.0.1:1") as process:
        assert process.popen.wait(20) == 1
    assert "127.0.0.1:1" in process.output
    assert "Traceback" not in process.output


def test_a_child_that_dies_is_started_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with serve(listen=address) as gateway:
        sdk = gateway.sdk().with_options(max_retries=5)
        children = Path(
            f"/proc/{gateway.process.popen.pid}/task/{gateway.process.popen.pid}/children"
        ).read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
            gateway.process.wait_for("starting it again")
        assert len(list(sdk.models.list())) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--listen", "127.0.0.1"),
        ("facade", "--listen", "127.0.0.1:abc"),
        ("core", "--listen", "nonsense"),
    ],
)
def test_an_address_that_is_none_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    with portico(*arguments) as process:
        assert process.popen.wait(10) == 2
    assert arguments[-1] in process.output
    assert "Write HOST:PORT" in process.output
    assert "Traceback" not in process.output


def test_the_mistakes_of_both_halves_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "portico.yaml"
    file.write_text("http: x\ngrpc: y\nbackends: {d: {dialect: dummy}}\n", encoding="utf-8")
    with portico("check", "--config", str(file)) as process:
        assert process.popen.wait(10) == 2
    assert f"{file}:1: http" in process.output
    assert f"{file}:2: grpc" in process.output
