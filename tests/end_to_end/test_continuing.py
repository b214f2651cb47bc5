"""A real engine goes on with an answer that broke off elsewhere, in two dialects."""

from dataclasses import replace
from typing import Any

import pytest

from portico.gateway import CallContext
from portico.secret import Secret
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest
from portico_adapters.anthropic import AnthropicAdapter
from portico_adapters.anthropic.settings import AnthropicSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from portico_core.policy import PREFILL, Policy
from portico_core.routing import Routes
from tests.core.cases import BROKEN
from tests.support.core import Upstream, ask, ask_stream, config, contents, direct, role, text
from tests.support.engine import MODEL, Engine


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_the_engine_continues_the_text(running_engine: Engine, dialect: str) -> None:
    if dialect == "openai":
        adapter: Any = OpenAIAdapter
        settings: Any = OpenAISettings(url=running_engine.url, continues="last_message")
    else:
        adapter = AnthropicAdapter
        root = running_engine.url.removesuffix("/v1")
        settings = AnthropicSettings(url=root, api_key=Secret("k"))
    cut = Upstream()
    given = config({"a": cut, "b": Upstream()}, {"m": ["a/x", f"b/{MODEL}"], "engine": [f"b/{MODEL}"]})
    a, b = given.backends
    routes = [replace(each, policy=Policy(broken=PREFILL)) for each in given.routes.routes]
    given = replace(
        given,
        backends=(a, replace(b, adapter=adapter, settings=settings)),
        routes=Routes(routes, ["a", "b"]),
    )
    async with direct(given) as gateway:
        request: ChatRequest = ask("engine", temperature=0.0, max_tokens=24)
        whole = (await gateway.chat(request, CallContext("w"))).completion.choices[0].message.content
        begun = whole[: len(whole) // 2].rstrip()
        cut.scripts = [(role(), text(begun), BROKEN), (BROKEN,)]
        stream: StreamRequest = ask_stream(temperature=0.0, max_tokens=24)
        context = CallContext("r")
        told = contents([response async for response in gateway.stream(stream, context)])
    # At temperature 0 the engine says what it would have said by itself, and nothing twice.
    assert told.startswith(whole[: len(begun) + 8])
    assert context.receipt is not None
    assert context.receipt.served.backend == "b"
