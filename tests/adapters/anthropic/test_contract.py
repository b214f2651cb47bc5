"""The adapter for Anthropic's API keeps the contract, with answers of every kind."""

import json

from portico.adapter import Adapter, Limits
from portico.testing.contract import Exchange
from portico.testing.upstream_contract import UpstreamContract
from portico_adapters.anthropic import AnthropicAdapter
from tests.adapters.anthropic.fixtures import ANSWERS, CALL, read, settings_for

# Plain text first, as the contract wants it.
_NAMES = sorted(ANSWERS, key=lambda name: name != "text")


def _exchange(name: str) -> Exchange:
    stream = [event + b"\n\n" for event in read(f"{name}.txt").split(b"\n\n") if event]
    return Exchange(CALL, name, read(f"{name}.json"), stream)


class TestAnthropic(UpstreamContract):
    """With answers from wire/."""

    exchanges = tuple(map(_exchange, _NAMES))
    models = (
        b'{"data":[{"type":"model","id":"claude-x","created_at":"2026-02-04T00:00:00Z"}],"has_more":false}'
    )

    def make_adapter(self, url: str) -> Adapter:
        return AnthropicAdapter("claude", settings_for(url), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        kind = {401: "authentication_error", 403: "permission_error"}.get(status, "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
