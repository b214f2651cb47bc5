"""What the tests of the adapter for OpenAI's dialect share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from portico.adapter import Limits, UpstreamCall
from portico.secret import Secret
from portico.testing.upstream import Answerer, Upstream
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico_adapters.openai import OpenAIAdapter, OpenAISettings

WIRE = Path(__file__).parent / "wire" / "openai"

#: A caller's call, with headers that are nobody else's business.
CALL = UpstreamCall(
    ChatCompletionParams(model="gpt-4", messages=[ChatMessage(role="user", content="Hello?")]),
    "gpt-4o-mini",
    headers=[Header(name="authorization", value=b"Bearer caller"), Header(name="cookie", value=b"a=b")],
    request_id="req-1",
)


@asynccontextmanager
async def backend(
    *answers: Answerer,
    key: str = "",
    headers: dict[str, str] | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[tuple[OpenAIAdapter, Upstream]]:
    """Yield an adapter and the server that it calls; close both."""
    extra = {name: Secret(value) for name, value in (headers or {}).items()}
    async with Upstream(*answers) as upstream:
        settings = OpenAISettings(f"{upstream.url}/v1", Secret(key) if key else None, extra)
        adapter = OpenAIAdapter("acme", settings, limits or Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()
