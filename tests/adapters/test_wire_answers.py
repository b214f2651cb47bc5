"""What callers read of the answers of Azure and Vertex: their dialects' own files test the rest."""

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import pytest

from portico.adapter import Adapter, Limits, UpstreamCall
from portico.config import Url
from portico.openai.responses import render_completion
from portico.secret import Secret
from portico.testing.assemble import assemble
from portico.testing.upstream import Upstream
from portico.testing.wire import answer, streamed
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage
from portico_adapters.azure import AzureAdapter, AzureSettings
from portico_adapters.vertex import VertexAdapter
from portico_adapters.vertex.settings import VertexSettings

WIRE: Final = Path(__file__).parent / "wire"


def _azure(url: str) -> Adapter:
    return AzureAdapter("acme", AzureSettings(Url(url), api_version="2024-10-21"), Limits())


def _vertex(url: str) -> Adapter:
    token = Secret("ya29.x")
    settings = VertexSettings(url=Url(url), project="acme-1", location="europe-west4", access_token=token)
    return VertexAdapter("acme", settings, Limits())


ADAPTERS: Final = {"azure": _azure, "vertex": _vertex}
FILES: Final = [file for dialect in ADAPTERS for file in sorted(WIRE.glob(f"{dialect}/answers/*.txt"))]


def call() -> UpstreamCall:
    params = ChatCompletionParams(model="gpt-4", messages=[ChatMessage(role="user", content="Hello?")])
    return UpstreamCall(params, "m", request_id="req-1")


def told(rendered: bytes) -> dict[str, Any]:
    """Return what the files with the outcome hold."""
    completion = json.loads(rendered)
    choice = completion["choices"][0]
    message = {name: value for name, value in choice["message"].items() if name not in _PLAIN}
    for each in message.get("tool_calls", ()):
        # A stream's have it, to be put together by.
        each.pop("index", None)
    return {
        "message": message,
        "finish_reason": choice["finish_reason"],
        "usage": completion["usage"],
    }


#: Members of every message that say the same each time.
_PLAIN: Final = ("role", "refusal", "annotations")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
async def test_an_answer_becomes_openais(file: Path) -> None:
    """Whole and streamed alike."""
    whole, events, wanted = (file.with_suffix(end) for end in (".json", ".txt", ".openai.json"))
    bodies = [each.read_bytes() for each in (whole, events, wanted)]
    async with Upstream(answer(bodies[0]), streamed(bodies[1])) as upstream:
        adapter = ADAPTERS[file.parts[-3]](upstream.url)
        try:
            found = [(await adapter.chat(call())).completion]
            async with aclosing(adapter.stream(call())) as messages:
                found.append(assemble([message async for message in messages]))
        finally:
            await adapter.aclose()
    for completion in found:
        assert told(render_completion(completion)) == json.loads(bodies[2])
