"""The adapter for OpenAI's dialect keeps the contract, with answers of every kind."""

import json
from pathlib import Path

from portico.adapter import Adapter, Limits
from portico.testing.contract import Exchange
from portico.testing.upstream_contract import UpstreamContract
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.openai_tools import CALL, WIRE

# Plain text first, as the contract wants it.
_ANSWERS = sorted(WIRE.glob("*.json"), key=lambda file: (file.stem != "text", file))


def _exchange(answer: Path) -> Exchange:
    *events, last = answer.with_suffix(".txt").read_bytes().split(b"\n\n")
    stream = [event + b"\n\n" for event in events]
    return Exchange(CALL, answer.stem, answer.read_bytes(), [*stream, last] if last else stream)


class TestOpenAI(UpstreamContract):
    """With every pair of answers below wire/."""

    exchanges = tuple(
        map(_exchange, sorted(WIRE.glob("*.json"), key=lambda each: (each.stem != "text", each)))
    )
    models = b'{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1}]}'

    def make_adapter(self, url: str) -> Adapter:
        return OpenAIAdapter("openai", OpenAISettings(f"{url}/v1"), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": {"message": message, "type": None, "param": None, "code": None}}).encode()
