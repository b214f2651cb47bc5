"""The suite that the sdist of OpenAI's Python SDK holds, run against any base URL.

Its tests send every parameter with placeholder values to a mock server and check the types of the answers.
"""

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import openai

from tests.end_to_end.clients.made import made

_LOCK = Path(__file__).parents[3] / "requirements/dev.txt"


@dataclass(frozen=True)
class Part:
    """A file of the suite, and which of its tests are about endpoints that a gateway has."""

    file: str
    #: In pytest's language of ``-k``.
    wanted: str


PARTS = {
    "chat": Part("chat/test_completions.py", "overload"),
    "completions": Part("test_completions.py", ""),
    "embeddings": Part("test_embeddings.py", ""),
    "models": Part("test_models.py", "not delete"),
}


def unpacked() -> Path:
    """Return the folder of the sdist: the version that is installed, checked by the lock file's hashes."""
    name = f"openai-{openai.__version__}"
    pin = re.search(
        rf"^openai=={re.escape(openai.__version__)} \\\n(?: +--hash\S+(?: \\)?\n)+",
        _LOCK.read_text(),
        re.MULTILINE,
    )
    assert pin, "the installed SDK is the locked one"
    # The SDK's build backend is ours too, so pip reads the metadata without fetching one.
    options = "--no-deps", "--no-build-isolation", "--no-binary", "openai", "--require-hashes"
    download = sys.executable, "-m", "pip", "download", "-q", *options, "-r", "requirements.txt"
    unpack = sys.executable, "-m", "tarfile", "-e", f"{name}.tar.gz"
    return made("openai", {"requirements.txt": pin[0].encode()}, download, unpack) / name


async def run(part: Part, url: str, report: Path) -> dict[str, str]:
    """Run a part of the suite; return "passed", or what went wrong, by the name of the test."""
    tests = "tests/api_resources/" + part.file
    # In one process and in order, so that two runs send the same requests in the same order.
    options = "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-k", part.wanted, f"--junit-xml={report}"
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *options, tests),
        cwd=unpacked(),
        env={**os.environ, "TEST_API_BASE_URL": url, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(running.communicate(), 300)
    assert running.returncode in {0, 1}, said.decode()
    return {
        f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}": _outcome(case)
        for case in ET.parse(report).iter("testcase")
    }


def _outcome(case: ET.Element) -> str:
    for child in case:
        if child.tag in {"failure", "error", "skipped"}:
            return f"{child.tag}: {child.get('message')}"
    return "passed"
