"""One gateway for all calls that the table lists, and the ways into it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.cases import Case, by_the_table, of_callers
from tests.faults.doors import Door, doors, warm
from tests.faults.stand import LAYOUTS, Stand, as_before, stand


@pytest.fixture(scope="package", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    """How the gateway runs: callers see the same."""
    return str(request.param)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory, layout: str) -> Iterator[Stand]:
    """A gateway that has a backend per case; its halves have no more tasks in the end than they had."""
    first = Case("healthy", "sdk", streamed=True, second=False, tag=".first")
    cases = [first, *by_the_table(), *of_callers()]
    with stand(tmp_path_factory.mktemp("faults"), cases, layout) as started:
        asyncio.run(warm(started, first.name))
        halves = (started.core, started.facade)
        tasks = [half.tasks() for half in halves]
        yield started
        for half, before in zip(halves, tasks, strict=True):
            asyncio.run(as_before(half, before))


@pytest.fixture
async def ways(running: Stand) -> AsyncIterator[dict[str, Door]]:
    """The ways into it, by name."""
    async with doors(running.facade.address, running.core.address) as opened:
        yield opened
