"""The clients in node/ and go/: programs that play one scenario with an official SDK and print JSON lines."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clients.made import made, sources

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """A client that is ready to run."""

    name: str
    command: tuple[str, ...]

    def play(self, scenario: str, url: str, model: str) -> Any:
        """Play a scenario to its end; return its last word."""
        return self.lines(scenario, url, model)[-1]

    def lines(self, scenario: str, url: str, model: str) -> list[Any]:
        """Play a scenario to its end; return all that it said."""
        done = subprocess.run(
            (*self.command, scenario, url, model), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def play_beside(self, scenario: str, url: str, model: str) -> list[Any]:
        """``lines``, while servers of this event loop go on."""
        return await asyncio.to_thread(self.lines, scenario, url, model)

    @contextlib.asynccontextmanager
    async def until_first_word(self, scenario: str, url: str, model: str) -> AsyncIterator[Any]:
        """Yield the first thing that a scenario says while its process lives on; then end its stdin."""
        running = await asyncio.create_subprocess_exec(
            *self.command, scenario, url, model, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert running.stdout
        try:
            word = await asyncio.wait_for(running.stdout.readline(), 60)
            yield json.loads(word)
            assert running.returncode is None
            await asyncio.wait_for(running.communicate(b""), 30)
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()


def _need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is absent")


def node() -> Program:
    """OpenAI's SDK for Node, as its lock file names it."""
    _need("node", "npm")
    install = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    folder = made("node", sources(_HERE / "node"), install)
    return Program("node", ("node", str(folder / "client.mjs")))


def go() -> Program:
    """OpenAI's SDK for Go, as go.sum names it: built in seconds with Go's caches warm."""
    _need("go")
    commands = ("go", "vet", "."), ("go", "build", "-o", "client", ".")
    folder = made("go", sources(_HERE / "go"), *commands)
    return Program("go", (str(folder / "client"),))


#: How each client is made ready.
PROGRAMS: dict[str, Callable[[], Program]] = {"node": node, "go": go}
