"""examples/custom_adapter installs apart from Portico, passes the contract suite, and serves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import serve
from tests.support.processes import portico, process

PACKAGE = Path(__file__).parents[2] / "examples/custom_adapter"
CONFIG = """\
backends:
  help:
    dialect: faq
    rules:
      opening hours|open on: We are open from 9 to 17, Monday to Friday.
models:
  support: help/answers
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that have the package installed."""
    target = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run((*pip, "--target", str(target), str(PACKAGE)), check=True)
    return {"PYTHONPATH": str(target)}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "portico.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


def test_its_own_tests_pass(installed: dict[str, str], tmp_path: Path) -> None:
    """Away from its sources, so that what was installed is what is tested."""
    for name in ("pyproject.toml", "test_faq.py"):
        shutil.copy(PACKAGE / name, tmp_path)
    with process(sys.executable, "-m", "pytest", "-q", env=installed, cwd=str(tmp_path)) as tests:
        assert tests.popen.wait(60) == 0, tests.output
    assert "passed" in tests.lines[-1]


def test_a_gateway_serves_it(installed: dict[str, str], config: Path) -> None:
    with serve(config, env=installed) as gateway, gateway.sdk() as sdk:
        assert [model.id for model in sdk.models.list()] == ["support", "help/answers"]
        answer = sdk.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "What are your OPENING HOURS?"}]
        )
    assert answer.model == "support"
    assert answer.choices[0].message.content == "We are open from 9 to 17, Monday to Friday."


def test_a_wrong_rule_is_told_with_its_place(installed: dict[str, str], config: Path) -> None:
    config.write_text(CONFIG.replace("opening hours|open on", "opening (hours"), encoding="utf-8")
    with portico("check", "--config", str(config), env=installed) as check:
        assert check.popen.wait(30) == 2
    assert f"{config}:4: backends.help.rules" in check.output
    assert "'opening (hours' is not a regular expression" in check.output


def test_without_the_package_the_dialect_is_unknown(config: Path) -> None:
    """So the tests above did not find it by accident."""
    with portico("check", "--config", str(config)) as check:
        assert check.popen.wait(30) == 2
    assert "faq" in check.output
