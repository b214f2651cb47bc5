"""One gateway for all calls that the table lists, and the ways into it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.cases import by_the_table, of_callers
from tests.faults.doors import Door, doors
from tests.faults.stand import Stand, stand


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A gateway that has a backend per case."""
    with stand(tmp_path_factory.mktemp("faults"), [*by_the_table(), *of_callers()]) as started:
        yield started


@pytest.fixture
async def ways(running: Stand) -> AsyncIterator[dict[str, Door]]:
    """The ways into it, by name."""
    async with doors(running.facade.address, running.core.address) as opened:
        yield opened
