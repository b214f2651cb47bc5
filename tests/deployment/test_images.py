"""What can be said of the images without building them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from portico_core.config import Grpc
from portico_facade.config import Settings
from tests.deployment.dockerfile import DOCKER, ROOT, Instruction, context, instructions, stages
from tests.support import gateway
from tests.support.processes import process

HALVES = ("core", "facade")
PORTS = {"core": Grpc().listen.rpartition(":")[2], "facade": Settings().listen.rpartition(":")[2]}


def _file(half: str) -> Path:
    return DOCKER / f"{half}.Dockerfile"


def _last(half: str, name: str) -> Instruction:
    """Return the final stage's only instruction of this name."""
    (found,) = [each for each in stages(_file(half))[-1] if each.name == name]
    return found


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("half", HALVES)
def test_the_image_runs_its_half_as_nobody_special(half: str) -> None:
    """Exec form, so that SIGTERM reaches the gateway, and a number, so that Kubernetes can judge it."""
    assert _last(half, "ENTRYPOINT").words == ["portico", half]
    assert _last(half, "STOPSIGNAL").words == ["SIGTERM"]
    uid, _, gid = _last(half, "USER").text.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


@pytest.mark.parametrize("half", HALVES)
def test_the_image_exposes_the_default_port(half: str) -> None:
    assert _last(half, "EXPOSE").words == [PORTS[half]]


@pytest.mark.parametrize("half", HALVES)
def test_the_health_check_needs_nothing_but_python(half: str) -> None:
    python, script = _last(half, "HEALTHCHECK").words
    assert python == "python"
    copied = [each.words for each in stages(_file(half))[0] if each.name == "COPY"]
    assert [f"docker/{half}_health.py", script] in copied


@pytest.mark.parametrize("half", HALVES)
def test_the_context_holds_what_is_copied_and_nothing_secret(half: str) -> None:
    names = list(context())
    for each in instructions(_file(half)):
        if each.name == "COPY" and not each.flags:
            for source in each.words[:-1]:
                assert any(name == source or name.startswith(f"{source}/") for name in names), source
    allowed = ("proto/", "core/", "adapters/", "facade/", "docker/", "requirements/")
    assert {name for name in names if not name.startswith(allowed)} == {
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }


@pytest.mark.parametrize("half", HALVES)
def test_whatever_is_installed_has_a_hash_or_is_ours(half: str) -> None:
    commands = [
        command
        for each in instructions(_file(half))
        if each.name == "RUN"
        for command in each.text.split("&&")
        if "install" in command or "pip wheel" in command
    ]
    assert len(commands) == 4
    assert all("--require-hashes" in command or "--no-deps" in command for command in commands)


@pytest.mark.parametrize("half", HALVES)
def test_the_image_has_the_versions_that_were_tested(half: str) -> None:
    tested = _pins("dev.txt")
    for lock in ("build.txt", f"{half}.txt"):
        pins = _pins(lock)
        assert pins
        assert pins == {name: tested[name] for name in pins}


def test_no_half_carries_what_the_other_needs() -> None:
    core, facade = _pins("core.txt"), _pins("facade.txt")
    assert "tornado" not in core
    assert not {"httpx", "aiohappyeyeballs", "grpcio-reflection"} & set(facade)


@pytest.mark.parametrize("half", HALVES)
def test_both_stages_start_from_the_python_that_the_tests_run_with(half: str) -> None:
    before, *_ = instructions(_file(half))
    assert before.text == f"PYTHON={sys.version_info.major}.{sys.version_info.minor}"
    assert {stage[0].words[0] for stage in stages(_file(half))} == {"python:${PYTHON}-slim"}


def _healthy(half: str, address: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, str(DOCKER / f"{half}_health.py"), address)
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def test_the_health_checks_tell_running_from_stopped(tmp_path: Path) -> None:
    with gateway.core("127.0.0.1:0") as core, gateway.facade(core.address) as facade:
        addresses = {"core": core.address, "facade": facade.address}
        for half, address in addresses.items():
            assert _healthy(half, address).returncode == 0
        core.process.stop()
        # A facade without a core lives: a restart would not mend it.
        assert _healthy("facade", facade.address).returncode == 0
        facade.process.stop()
    for half, address in addresses.items():
        stopped = _healthy(half, address)
        assert stopped.returncode == 1
        assert stopped.stderr
        assert "Traceback" not in stopped.stderr


def test_the_facades_health_check_follows_the_port_of_the_environment() -> None:
    with gateway.core("127.0.0.1:0") as core, gateway.facade(core.address) as facade:
        port = facade.address.rpartition(":")[2]
        with process(sys.executable, str(DOCKER / "facade_health.py"), env={"PORT": port}) as check:
            assert check.popen.wait(30) == 0
