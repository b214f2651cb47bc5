"""What the pages show of `portico check` works as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DEPLOYMENT = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
#: The command, then what it prints.
SHOWN = re.search(r"^    \$ (.*portico check.*)\n((?:    .*\n|\n)+)", README, re.MULTILINE)
FILE = re.search(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
CHECK = re.search(
    r"^ +(\S* ?portico check --config docker/kubernetes/portico.yaml)$", DEPLOYMENT, re.MULTILINE
)


def shell(command: str, cwd: Path) -> str:
    """Run a command line as a reader would type it, with no variable set; return what it prints."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        ("sh", "-c", command),
        cwd=cwd,
        env={"PATH": f"{scripts}:{os.defpath}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_readme_shows_what_check_prints(tmp_path: Path) -> None:
    """To the letter, for the file above it."""
    if SHOWN is None or FILE is None:
        pytest.fail("README.md shows no `portico check`")
    (tmp_path / "portico.yaml").write_text(FILE[1], encoding="utf-8")
    printed = [line.rstrip() for line in shell(SHOWN[1], tmp_path).splitlines()]
    assert printed == [line[4:] for line in SHOWN[2].rstrip().splitlines()]


def test_the_deployments_configuration_can_be_checked() -> None:
    if CHECK is None:
        pytest.fail("docs/deployment.md shows no `portico check`")
    assert "openai/*" in shell(CHECK[1], ROOT)
