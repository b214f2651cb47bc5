"""What the adapters of OpenAI's dialect, its flavours, Azure and Vertex send, byte for byte in files."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from portico.adapter import Adapter, Limits, UpstreamCall
from portico.config import Url
from portico.openai.requests import parse_chat
from portico.secret import Secret
from portico.testing.upstream import Upstream
from portico.testing.wire import answer, streamed
from portico_adapters.azure import AzureAdapter, AzureSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from portico_adapters.vertex import VertexAdapter
from portico_adapters.vertex.settings import VertexSettings

WIRE: Final = Path(__file__).parent / "wire"
MODEL: Final = "gpt-4o-mini"


def _openai(url: str, case: dict[str, Any]) -> Adapter:
    return OpenAIAdapter("acme", OpenAISettings(Url(f"{url}/v1"), flavour=case.get("flavour")), Limits())


def _azure(url: str, case: dict[str, Any]) -> Adapter:
    return AzureAdapter("acme", AzureSettings(Url(url), **case["settings"]), Limits())


def _vertex(url: str, _: dict[str, Any]) -> Adapter:
    token = Secret("ya29.x")
    settings = VertexSettings(url=Url(url), project="acme-1", location="europe-west4", access_token=token)
    return VertexAdapter("acme", settings, Limits())


ADAPTERS: Final = {"openai": _openai, "flavours": _openai, "azure": _azure, "vertex": _vertex}
FILES: Final = [file for dialect in ADAPTERS for file in sorted(WIRE.glob(f"{dialect}/requests/*.json"))]
#: A text, whole and streamed, of OpenAI's dialect and of Gemini's.
ANSWERS: Final = [
    [(WIRE / folder / name).read_bytes() for name in ("text.json", "text.txt")]
    for folder in ("openai", "gemini/answers")
]


def read(file: Path) -> dict[str, Any]:
    """Return what a file says."""
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


@asynccontextmanager
async def sent_by(file: Path) -> AsyncIterator[tuple[dict[str, Any], UpstreamCall, Upstream]]:
    """Yield what a file says, the call, and the server after the call; what it answers is another's test."""
    case, dialect = read(file), file.parts[-3]
    params, streams = parse_chat(json.dumps(case["openai"]).encode())
    call = UpstreamCall(params, case.get("backend_model", MODEL), request_id="req-1")
    answered = ANSWERS[dialect == "vertex"]
    async with Upstream(streamed(answered[1]) if streams else answer(answered[0])) as upstream:
        adapter = ADAPTERS[dialect](upstream.url, case)
        try:
            if streams:
                async with aclosing(adapter.stream(call)) as messages:
                    assert [message async for message in messages]
            else:
                await adapter.chat(call)
            yield case, call, upstream
        finally:
            await adapter.aclose()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
async def test_a_request_becomes_the_backends(file: Path) -> None:
    """Member by member, where it goes, and what the caller learns of what was left out."""
    async with sent_by(file) as (case, call, upstream):
        (request,) = upstream.requests
        assert request.json() == case["sent"]
        assert request.path == case.get("path", "/v1/chat/completions")
        assert call.dropped == case.get("dropped", [])
