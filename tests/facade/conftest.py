"""A facade in front of a scripted gateway, on a port of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest

from portico.testing.gateway import FakeGateway
from tests.facade.clients import Facade, facade
from tests.facade.messages import first, last, response, tokens

Start: TypeAlias = Callable[..., AbstractAsyncContextManager[Facade]]


@pytest.fixture
def gateway() -> FakeGateway:
    """A gateway that answers everything."""
    fake = FakeGateway()
    fake.on_chat = [response()]
    fake.on_stream = [first("Hel"), tokens("lo"), last()]
    return fake


@pytest.fixture
async def portico(gateway: FakeGateway) -> AsyncIterator[Facade]:
    """A running facade with the default settings."""
    async with facade(gateway) as running:
        yield running


@pytest.fixture
def start(gateway: FakeGateway) -> Start:
    """What runs a facade with settings of the test's own."""

    def started(**settings: Any) -> AbstractAsyncContextManager[Facade]:
        return facade(gateway, **settings)

    return started
