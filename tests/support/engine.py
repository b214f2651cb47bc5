"""A real llama.cpp server on a tiny model, made on first use (engine/README of the shared data)."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Process, process
from tests.support.shared import shared

#: The one model that the engine serves.
MODEL = "tiny-chat"


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    #: Base of its OpenAI surface, such as http://127.0.0.1:8091/v1
    url: str
    process: Process


def make_model(folder: Path) -> Path:
    """Make the model's file: a second of work, 2.4 MB."""
    model = folder / "tiny.gguf"
    subprocess.run(
        [sys.executable, str(shared("engine", "make_tiny_gguf.py")), str(model)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return model


@contextlib.contextmanager
def engine(model: Path, port: int = 0) -> Iterator[Engine]:
    """Run an engine while the block runs."""
    command = (sys.executable, str(shared("engine", "serve_tiny.py")), str(model), "--port", str(port))
    # Its log would come between the words of the line that is waited for.
    with process(*command, "--embeddings", "--ctx", "16384", quiet=True) as started:
        address = started.wait_for("READY").split()[1]
        yield Engine(f"{address}/v1", started)
