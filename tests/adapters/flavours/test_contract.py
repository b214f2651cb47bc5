"""The adapter for OpenAI's dialect keeps the contract with answers in each provider's own spelling."""

import json

from portico.adapter import Adapter, Limits
from portico.testing.contract import Exchange
from portico.testing.upstream_contract import UpstreamContract
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.flavours.fixtures import ANSWERS, read
from tests.adapters.openai_tools import CALL


def _exchange(name: str) -> Exchange:
    stream = [event + b"\n\n" for event in read(f"{name}.txt").split(b"\n\n") if event.strip()]
    return Exchange(CALL, name, read(f"{name}.json"), stream)


class TestFlavours(UpstreamContract):
    """With every pair of answers below wire/flavours."""

    exchanges = tuple(map(_exchange, sorted(ANSWERS, key=lambda name: (name != "groq", name))))
    models = b'{"object":"list","data":[{"id":"m","object":"model","created":1}]}'

    def make_adapter(self, url: str) -> Adapter:
        return OpenAIAdapter("acme", OpenAISettings(f"{url}/v1"), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"object": "error", "message": message, "type": "x", "code": status}).encode()
