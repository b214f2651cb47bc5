"""Reads Dockerfiles and .dockerignore, as far as ours go."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


@dataclass(frozen=True)
class Instruction:
    """One instruction, on one line."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments, of exec form or of plain words, without flags."""
        if "[" in self.text:
            return list(json.loads(self.text[self.text.index("[") :]))
        return [word for word in shlex.split(self.text) if not word.startswith("--")]

    @property
    def flags(self) -> list[str]:
        """The flags in front of the arguments."""
        return [word for word in shlex.split(self.text) if word.startswith("--")]


def instructions(file: Path) -> list[Instruction]:
    """Return a file's instructions, comments taken out and continued lines joined."""
    lines = (line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    text = "\n".join(lines).replace("\\\n", " ")
    return [
        Instruction(name, " ".join(rest.split()))
        for name, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def stages(file: Path) -> list[list[Instruction]]:
    """Return the instructions of each stage, its FROM first; ARGs before the first stage are left out."""
    found: list[list[Instruction]] = []
    for instruction in instructions(file):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def context() -> Iterator[str]:
    """Yield the files that .dockerignore lets into the build, of those that git does not ignore."""
    rules = [
        (line.removeprefix("!"), not line.startswith("!"))
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        # The last rule that matches the file, or a folder above it, decides.
        verdicts = [ignored for pattern, ignored in rules if _matches(pattern, name)]
        if not (verdicts and verdicts[-1]) and (ROOT / name).is_file():
            yield name


def _matches(pattern: str, name: str) -> bool:
    parts = re.split(r"(\*\*/|\*)", pattern)
    glob = {"**/": "(.*/)?", "*": "[^/]*"}
    regex = "".join(glob.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(f"{regex}(/.*)?", name) is not None
