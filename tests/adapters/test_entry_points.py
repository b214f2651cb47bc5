"""Our own adapters are found as third parties' are."""

from importlib.metadata import entry_points

import pytest

from portico.adapter import Adapter, Limits
from portico.config import fill, parse
from portico_adapters.azure import AzureAdapter
from portico_adapters.dummy import DummyAdapter
from portico_adapters.openai import OpenAIAdapter
from portico_adapters.remote_portico import RemotePorticoAdapter


@pytest.mark.parametrize(
    ("dialect", "expected", "members"),
    [
        ("azure", AzureAdapter, "{url: https://acme.openai.azure.com, api_version: 2024-10-21}"),
        ("dummy", DummyAdapter, "{}"),
        ("openai", OpenAIAdapter, "{url: http://localhost:8080/v1}"),
        ("portico", RemotePorticoAdapter, "{target: gateway.internal:50051}"),
    ],
)
async def test_a_dialect_names_its_adapter(dialect: str, expected: type[Adapter], members: str) -> None:
    """Its settings can be filled from a configuration, and making it opens nothing."""
    (entry,) = entry_points(group="portico.adapters", name=dialect)
    found = entry.load()
    assert found is expected
    adapter = found("name", fill(found.Settings, parse(members, "portico.yaml", {})), Limits())
    assert isinstance(adapter, Adapter)
    await adapter.aclose()
