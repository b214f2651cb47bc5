"""A live server with a hand-made service, and both clients of it."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proto.client.callers import DIALS, Dial
from tests.proto.client.service import Service, serving


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: the path of a Unix socket has room for about 100 characters."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
async def target(service: Service, folder: Path) -> AsyncIterator[str]:
    async with serving(service, folder) as target:
        yield target


@pytest.fixture(params=DIALS)
def dial(request: pytest.FixtureRequest) -> Dial:
    return DIALS[request.param]


@pytest.fixture
async def client(dial: Dial, target: str) -> AsyncIterator[Any]:
    async with dial(target) as client:
        yield client
