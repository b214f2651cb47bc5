"""examples/go_service builds from generated stubs and talks to a running core. Skipped without Go."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, serve
from tests.support.processes import Process, process

SERVICE = Path(__file__).parents[2] / "examples/go_service"
SLOW = "backends: {dummy: {dialect: dummy, pace: 5}}\n"

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="go is absent")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program: seconds with Go's caches warm, minutes without."""
    built = tmp_path_factory.mktemp("go") / "go_service"
    with (SERVICE / "generate.sh").open() as lock:
        # Several workers would clean the generated code away under one another's hands.
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run((str(SERVICE / "generate.sh"),), check=True)
        subprocess.run(("go", "vet", "./..."), check=True, cwd=SERVICE)
        subprocess.run(("go", "build", "-o", str(built), "."), check=True, cwd=SERVICE)
    return built


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serve() as started:
        yield started


def _run(program: Path, *arguments: str) -> tuple[int, Process]:
    with process(str(program), *arguments) as running:
        return running.popen.wait(30), running


def test_it_streams_and_prints_the_receipt(program: Path, gateway: Gateway) -> None:
    status, said = _run(program, "-core", gateway.grpc, "-model", "dummy/echo-1", "good day")
    assert status == 0
    assert said.lines[0] == "good day"
    assert said.lines[1].startswith("receipt go-")
    assert said.lines[1].endswith(": OUTCOME_OK")
    assert said.lines[2] == "  dummy/echo-1: ok"
    assert said.lines[3].endswith("tokens")


def test_it_reads_what_an_error_carries(program: Path, gateway: Gateway) -> None:
    status, said = _run(program, "-core", gateway.grpc, "-model", "no/such-model", "hello")
    assert status == 1
    assert any(line.startswith("NotFound: ") for line in said.lines)
    assert "  HTTP 404, type invalid_request_error, code model_not_found, param model" in said.lines


def test_its_deadline_ends_the_call(program: Path, tmp_path: Path) -> None:
    config = tmp_path / "portico.yaml"
    config.write_text(SLOW, encoding="utf-8")
    with serve(config) as gateway:
        status, said = _run(program, "-core", gateway.grpc, "-deadline", "500ms", "tell me")
    assert status == 1
    assert any(line.startswith("DeadlineExceeded: ") for line in said.lines)


def test_it_says_when_no_core_is_there(program: Path) -> None:
    status, said = _run(program, "-core", "127.0.0.1:1", "hello")
    assert status == 1
    assert said.lines[0].startswith("Unavailable: ")


def test_the_sources_are_formatted(program: Path) -> None:
    sources = [str(file) for file in SERVICE.glob("*.go")]
    formatted = subprocess.run(("gofmt", "-l", *sources), check=True, capture_output=True, text=True)
    assert len(sources) == 2
    assert formatted.stdout == ""
