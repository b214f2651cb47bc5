"""The adapter for another core keeps the contract, over a real one with the dummy backend."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from portico.adapter import Adapter, Completes, Embeds, Limits
from portico.testing.contract import AdapterContract, Exchange
from portico.testing.upstream import Answerer
from portico_adapters.dummy import DummyAdapter, DummySettings
from portico_adapters.remote_portico import RemotePorticoAdapter, RemotePorticoSettings
from portico_core.config import Backend, Config, Grpc, Timeouts
from portico_core.routing import Routes
from tests.adapters.remote_portico.gateways import call, far

_DUMMY = Backend(
    name="dummy",
    dialect="dummy",
    adapter=DummyAdapter,
    settings=DummySettings(),
    timeouts=Timeouts(),
    models=None,
    place="",
)


class TestRemotePortico(AdapterContract):
    """With both models of the dummy."""

    exchanges = (Exchange(call("dummy/story-1"), "a story"), Exchange(call("dummy/echo-1"), "an echo"))

    def make_adapter(self, url: str) -> Adapter:
        return RemotePorticoAdapter("far", RemotePorticoSettings(target="unix:/nowhere"), Limits())

    @asynccontextmanager
    async def against(self, *answers: Answerer) -> AsyncIterator[tuple[Adapter, Any]]:
        """Yield the adapter in front of a core; the dummy needs no scripts."""
        async with far(Config(Grpc(), (_DUMMY,), Routes([], ["dummy"]))) as adapter:
            yield adapter, None


def test_it_completes_and_embeds() -> None:
    """The core asks by the protocols."""
    adapter = TestRemotePortico().make_adapter("")
    assert isinstance(adapter, Completes)
    assert isinstance(adapter, Embeds)
