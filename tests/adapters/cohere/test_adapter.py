"""What goes to the API and comes back: keys, limits, pages of models; and what the settings refuse."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from portico.adapter import Limits
from portico.config import Url
from portico.secret import Secret
from portico.testing.upstream import Upstream
from portico.testing.wire import answer, streamed
from portico.v1.headers_pb2 import Header
from portico_adapters.cohere import CohereAdapter
from portico_adapters.cohere.settings import CohereSettings
from tests.adapters.cohere.fixtures import CALL, read

LIMITS = (("x-trial-endpoint-call-remaining", "4"), ("x-endpoint-monthly-call-limit", "1000"))


async def test_calls_go_out_with_the_key_and_limits_come_back() -> None:
    """Whole and streamed; the limits once."""
    scripts = answer(read("text.json"), headers=LIMITS), streamed(read("text.txt"), headers=LIMITS, size=50)
    async with Upstream(*scripts) as upstream:
        adapter = CohereAdapter("c", CohereSettings(url=Url(upstream.url), api_key=Secret("co-1")), Limits())
        found = [list((await adapter.chat(CALL)).headers)]
        async with aclosing(adapter.stream(CALL)) as messages:
            found.append([header async for message in messages for header in message.headers])
        await adapter.aclose()
    assert found == [[Header(name="x-ratelimit-remaining-requests", value=b"4")]] * 2
    for request in upstream.requests:
        assert (request.method, request.path) == ("POST", "/v2/chat")
        assert (request.headers["authorization"], request.headers["x-request-id"]) == ("Bearer co-1", "req_1")


async def test_models_are_listed_page_by_page() -> None:
    """Those that chat or embed, with what else is told of them."""
    first = {
        "models": [
            {"name": "command-a", "endpoints": ["chat"], "features": ["a"]},
            {"name": "rerank-v3.5", "endpoints": ["rerank"]},
        ],
        "next_page_token": "a/b",
    }
    last = {
        "models": [{"name": "embed-v4.0", "endpoints": ["embed"]}, {"name": "mine"}, {}],
        "next_page_token": "",
    }
    pages = (json.dumps(page, separators=(",", ":")).encode() for page in (first, last))
    async with Upstream(*map(answer, pages)) as upstream:
        adapter = CohereAdapter("c", CohereSettings(url=Url(upstream.url)), Limits())
        models = await adapter.list_models(())
        await adapter.aclose()
    assert [model.id for model in models] == ["command-a", "embed-v4.0", "mine"]
    assert models[0].extra_json == '{"features":["a"]}'
    paths = [request.path for request in upstream.requests]
    assert paths == ["/v1/models?page_size=1000", "/v1/models?page_size=1000&page_token=a%2Fb"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"api_key": Secret("k\n")}, "api_key"),
        ({"url": Url("https://api.cohere.com/v2")}, "url"),
        ({"input_type": "image"}, "input_type"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(members: dict[str, Any], message: str) -> None:
    """By the member's name."""
    with pytest.raises(ValueError, match=f"^{message}: "):
        CohereSettings(**members)
