"""Real processes for tests: started, waited for, and always ended."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: What a developer's own environment may hold, and a gateway under test must not see.
OURS: Final = (
    *("PORT", "HOST", "LOG_LEVEL", "LOG_DIR", "CONFIG", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_URL"),
    *("GATEWAY_URL", "AGENT_ID", "CHATGPT_API_PORT", "API_KEYS", "ENABLE_AUTH", "API_KEY_SECRET"),
    *("ALLOWED_MODELS", "WORKERS", "PORTICO_API_KEY", "PORTICO_ADMIN_KEY"),
)


@dataclass
class Process:
    """A running process whose lines on stdout can be waited for."""

    popen: subprocess.Popen[str]
    #: Every line so far, stdout and stderr together.
    lines: list[str] = field(default_factory=list)
    _fresh: queue.Queue[str | None] = field(default_factory=queue.Queue)

    def wait_for(self, text: str, timeout: float = 30) -> str:
        """Return the first line not yet seen that contains ``text``."""
        end = time.monotonic() + timeout
        while True:
            try:
                line = self._fresh.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no {text!r} within {timeout} s; the process said:\n{self.output}"
                ) from None
            if line is None:
                raise AssertionError(f"the process ended without saying {text!r}; it said:\n{self.output}")
            if text in line:
                return line

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 15) -> int:
        """Send a signal and return the exit status."""
        self.popen.send_signal(how)
        return self.popen.wait(timeout)


@contextlib.contextmanager
def process(
    *command: str, env: Mapping[str, str] | None = None, quiet: bool = False, cwd: Path | str | None = None
) -> Iterator[Process]:
    """Run a command while the block runs, then end it.

    ``env`` adds to the environment, less the gateway's variables; ``quiet`` drops what goes to stderr.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    popen = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**inherited, "PYTHONUNBUFFERED": "1", **(env or {})},
    )
    started = Process(popen)
    reader = threading.Thread(target=_read, args=(started,), daemon=True)
    reader.start()
    try:
        yield started
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(10)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()
        reader.join(5)
        if popen.stdout:
            popen.stdout.close()


def _read(started: Process) -> None:
    for line in started.popen.stdout or ():
        started.lines.append(line.rstrip("\n"))
        started._fresh.put(started.lines[-1])
    started._fresh.put(None)


def portico(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> contextlib.AbstractContextManager[Process]:
    """Run ``portico …`` from the environment that runs the tests."""
    return process(sys.executable, "-m", "portico_facade", *arguments, env=env, cwd=cwd)
