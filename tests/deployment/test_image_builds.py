"""Walks through the Dockerfiles' steps without Docker: the install lines, and what they make, are real.

A fresh virtual environment stands in for the base image, and a folder for its root. What this cannot
show: the base image itself, the user, the read-only root.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from tests.deployment.dockerfile import DOCKER, ROOT, context, stages
from tests.support.processes import process

# Folders of the images that the steps name.
_FOLDERS = ("/opt/portico", "/dist", "/src")


class Build:
    """The first stage of one image, below a folder."""

    def __init__(self, half: str, root: Path) -> None:
        self.half = half
        self._root = root
        self._env = {"PATH": f"{root}/base/bin:/usr/bin:/bin", "HOME": str(root)}
        # pip finds the package index where it always does.
        self._env |= {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        self._folder = root

    @property
    def opt(self) -> Path:
        """What the final stage takes over."""
        return self._root / "opt/portico"

    def walk(self) -> None:
        """Do what the stage's instructions say."""
        subprocess.run((sys.executable, "-m", "venv", str(self._root / "base")), check=True)
        for each in stages(DOCKER / f"{self.half}.Dockerfile")[0][1:]:
            if each.name == "ENV":
                self._env |= dict(pair.split("=", 1) for pair in each.words)
            elif each.name == "WORKDIR":
                self._folder = Path(self._below(each.text))
                self._folder.mkdir(parents=True)
            elif each.name == "COPY":
                self._copy(each.words[:-1], each.words[-1])
            else:
                assert each.name == "RUN"
                subprocess.run(
                    self._below(each.text), shell=True, check=True, cwd=self._folder, env=self._env
                )

    def _below(self, text: str) -> str:
        for folder in _FOLDERS:
            text = text.replace(folder, f"{self._root}{folder}")
        return text

    def _copy(self, sources: list[str], target: str) -> None:
        """Copy files, or what a folder holds, as Docker does."""
        for source in sources:
            for name in context():
                if name == source:
                    below = Path(name).name if target.endswith("/") else ""
                elif name.startswith(f"{source}/"):
                    below = name.removeprefix(f"{source}/")
                else:
                    continue
                destination = self._folder / self._below(target) / below
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, destination)

    def has(self, module: str) -> bool:
        """Tell whether the image can import a module."""
        command = (str(self.opt / "bin/python"), "-c", f"import {module}")
        found = subprocess.run(command, check=False, capture_output=True)
        return found.returncode == 0

    def run(self, *arguments: str) -> tuple[str, ...]:
        """Return the entry point's command."""
        (entry,) = [
            each.words for each in stages(DOCKER / f"{self.half}.Dockerfile")[-1] if each.name == "ENTRYPOINT"
        ]
        return (str(self.opt / "bin" / entry[0]), *entry[1:], *arguments)

    def healthy(self, address: str) -> bool:
        """Run the image's health check."""
        check = (str(self.opt / "bin/python"), str(self.opt / "health.py"), address)
        return subprocess.run(check, check=False, timeout=30).returncode == 0


@pytest.mark.nightly  # about a minute, most of it downloads
def test_the_images_steps_make_halves_that_work_together(tmp_path: Path) -> None:
    core, facade = Build("core", tmp_path / "c"), Build("facade", tmp_path / "f")
    for build in (core, facade):
        build.walk()
        version = subprocess.run(
            (str(build.opt / "bin/portico"), "--version"), check=True, capture_output=True
        )
        assert version.stdout.decode().split() == ["portico", importlib.metadata.version("portico-gateway")]
        assert not build.has("pip")
    assert not core.has("tornado")
    assert not facade.has("httpx")

    # The tests' own packages are not for the images.
    env = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    with process(*core.run("--listen", "127.0.0.1:0"), env=env, cwd=str(tmp_path)) as back:
        grpc = back.wait_for("core is ready on").split()[-1]
        assert core.healthy(grpc)
        front_command = facade.run("--listen", "127.0.0.1:0", "--core", f"dns:///{grpc}")
        with process(*front_command, env=env, cwd=str(tmp_path)) as front:
            http = front.wait_for("facade is ready on").split()[-1]
            assert facade.healthy(http)
            sdk = openai.OpenAI(base_url=f"http://{http}/v1", api_key="none", max_retries=0)
            with sdk:
                answer = sdk.chat.completions.create(
                    model="dummy/echo-1", messages=[{"role": "user", "content": "hello"}]
                )
            assert answer.choices[0].message.content == "hello"
            assert front.stop() == 0
        assert back.stop() == 0
