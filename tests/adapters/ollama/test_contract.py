"""The adapter for Ollama's own API keeps the contract, with answers of every kind."""

import json

from portico.adapter import Adapter, Completes, Embeds, Limits
from portico.testing.contract import Exchange
from portico.testing.upstream_contract import UpstreamContract
from portico_adapters.ollama import OllamaAdapter
from tests.adapters.ollama.fixtures import ANSWERS, CALL, read, settings_for


def _exchange(name: str) -> Exchange:
    stream = read(f"{name}.ndjson").splitlines(keepends=True)
    return Exchange(CALL, name, read(f"{name}.json"), stream, stream_type="application/x-ndjson")


class TestOllama(UpstreamContract):
    """With every pair of answers below wire/ that has a prompt's tokens counted."""

    exchanges = tuple(_exchange(name) for name in ANSWERS if b"prompt_eval_count" in read(f"{name}.json"))
    models = b'{"models":[{"name":"llama3.2:latest","modified_at":"2025-05-04T17:37:44.706015396-07:00"}]}'

    def make_adapter(self, url: str) -> Adapter:
        return OllamaAdapter("local", settings_for(url), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": message}).encode()


def test_it_completes_and_embeds() -> None:
    """The core asks by the protocols."""
    adapter = TestOllama().make_adapter("http://127.0.0.1:1")
    assert isinstance(adapter, Completes)
    assert isinstance(adapter, Embeds)
