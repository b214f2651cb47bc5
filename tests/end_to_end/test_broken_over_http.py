"""What an HTTP caller reads of a stream whose backend breaks off, by what its model says of that."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from portico_core.policy import Policy
from portico_core.routing import Routes
from tests.core.test_broken import A_CUT, BROKEN, OTHER, SAME
from tests.facade.clients import facade
from tests.support.core import Upstream, config, direct

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


async def read(scripts: Mapping[str, Sequence[Any]], broken: str, go: asyncio.Event | None = None) -> str:
    """Ask; return the body. ``go`` is set once a ping has come."""
    settings = config({name: Upstream(each) for name, each in scripts.items()})
    routes = [replace(each, policy=Policy(broken=broken)) for each in settings.routes.routes]
    settings = replace(settings, routes=Routes(routes, settings.routes.backends))
    body = ""
    async with (
        direct(settings) as gateway,
        facade(gateway, ping=0.02 if go else 15.0) as portico,  # type: ignore[arg-type]
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{portico.port}", timeout=20) as client,
        client.stream("POST", "/v1/chat/completions", json=ASKED) as answer,
    ):
        assert answer.status_code == 200
        async for piece in answer.aiter_text():
            body += piece
            if go is not None and ": ping" in body:
                go.set()
    return body


def told(body: str) -> tuple[str, str]:
    """Return the text of a stream, and how it ended."""
    text = ""
    for line in body.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            return text, event["error"]["message"]
        text += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    return text, body.splitlines()[-2]


@pytest.mark.parametrize(
    ("broken", "second", "outcome"),
    [
        ("error", SAME, ("one two", BROKEN.message)),
        ("hold", OTHER, ("one zwei drei", "data: [DONE]")),
        ("verify", SAME, ("one two three", "data: [DONE]")),
        ("verify", OTHER, ("one two", BROKEN.message)),
        ("prefill", SAME, ("one two", BROKEN.message)),
    ],
)
async def test_a_stream_that_breaks_off(broken: str, second: Any, outcome: tuple[str, str]) -> None:
    assert told(await read({"a": [A_CUT, second], "b": [second]}, broken)) == outcome


async def test_comments_go_out_while_an_answer_is_held() -> None:
    go = asyncio.Event()
    *before, end = SAME
    body = await read({"a": [(*before, go, end)]}, "hold", go)
    assert body.startswith(": ping")
    assert told(body) == ("one two three", "data: [DONE]")
