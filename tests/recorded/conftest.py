"""Replay servers for the session: one per chunking, each with the whole corpus."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.recorded.providers import PROVIDERS
from tests.support.replay import replay

#: What a body arrives in: one write, 64 bytes a write, one byte a write.
CHUNKINGS = ("all", "64", "byte")


@pytest.fixture(scope="session")
def servers() -> Iterator[Mapping[str, str]]:
    """Chunking -> URL."""
    with ExitStack() as stack:
        yield {chunk: stack.enter_context(replay(*PROVIDERS, chunk=chunk)) for chunk in CHUNKINGS}
