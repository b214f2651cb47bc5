"""The Python SDK's own suite runs through the gateway as it runs against its mock server.

Each part runs twice against the same scripted answers: straight, and through facade, core and adapter. That
tells the score, and that each request reached the backend as the SDK sent it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portico.testing.upstream import Request, Upstream
from portico.testing.wire import Script, answer, streamed
from tests.end_to_end.clients.sdk_suite import PARTS, run
from tests.support.gateway import Gateway

CONFIG = "backends: {{up: {{dialect: openai, url: '{url}/v1'}}}}\n"

#: Strict tests that cannot pass where the answer is what the SDK asked for: unless told otherwise it asks for
#: base64, and its strict check takes floats alone. A mock that always gives floats hides it.
IMPOSSIBLE = re.compile(
    r"Embeddings\.test_(method|raw_response|streaming_response)_create\[(strict|aiohttp)\]"
)

#: How many tests each part holds, and how many requests with a body they send.
SIZES = {"chat": (40, 40), "completions": (40, 40), "embeddings": (20, 20), "models": (35, 0)}

MODELS = [
    {"id": name, "object": "model", "created": 1, "owned_by": "openai"}
    for name in ("gpt-6-astra", "gpt-3.5-turbo-instruct", "text-embedding-3-small")
]
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
CHAT = {
    "message": {"role": "assistant", "content": "hello", "refusal": None},
    "delta": {"role": "assistant", "content": "hello"},
}


def _answer(request: Request) -> Script:
    """Answer as OpenAI would."""
    if request.method == "GET":
        models = {model["id"]: model for model in MODELS}
        name = request.path.removeprefix("/v1/models").strip("/")
        return _json(models[name] if name else {"object": "list", "data": MODELS})
    asked = request.json()
    shape = {"id": "x", "created": 1, "model": asked["model"]}
    if request.path == "/v1/embeddings":
        vector = "AACAPwAAAEA=" if asked["encoding_format"] == "base64" else [1.0, 2.0]
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return _json({"object": "list", "data": data, "model": asked["model"], "usage": usage})
    stream = bool(asked.get("stream"))
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": "stop"}
    if request.path == "/v1/completions":
        shape |= {"object": "text_completion"}
        choice |= {"text": "hello"}
    else:
        shape |= {"object": "chat.completion.chunk" if stream else "chat.completion"}
        key = "delta" if stream else "message"
        choice |= {key: CHAT[key]}
    if not stream:
        return _json({**shape, "choices": [choice], "usage": USAGE})
    events = {**shape, "choices": [choice]}, {**shape, "choices": [], "usage": USAGE}
    return streamed(
        [*(b"data: %b\n\n" % json.dumps(event).encode() for event in events), b"data: [DONE]\n\n"]
    )


def _json(value: Any) -> Script:
    return answer(json.dumps(value).encode())


def _bodies(upstream: Upstream) -> list[tuple[str, Any]]:
    return [(request.path, request.json()) for request in upstream.requests if request.method == "POST"]


def _asked_of_the_backend(body: dict[str, Any]) -> dict[str, Any]:
    """Return what the backend is asked: ``stream`` only where it is true, and a stream's usage always."""
    if not body.get("stream"):
        return {name: value for name, value in body.items() if name != "stream"}
    return {**body, "stream_options": {**body.get("stream_options", {}), "include_usage": True}}


@pytest.mark.parametrize("name", SIZES)
async def test_the_sdks_own_suite_passes_and_its_requests_arrive_unchanged(
    name: str, gateways: Callable[[str], Gateway], tmp_path: Path
) -> None:
    part, (tests, requests) = PARTS[name], SIZES[name]
    async with Upstream(_answer) as mock:
        straight = await run(part, f"{mock.url}/v1", tmp_path / "straight.xml")
    async with Upstream(_answer) as upstream:
        gateway = gateways(CONFIG.format(url=upstream.url))
        through = await run(part, gateway.url, tmp_path / "through.xml")
    assert straight == through
    assert len(through) == tests
    for test, outcome in through.items():
        if IMPOSSIBLE.search(test):
            assert "APIResponseValidationError" in outcome, test
        else:
            assert outcome == "passed", test
    sent = _bodies(mock)
    assert len(sent) == requests
    assert _bodies(upstream) == [(path, _asked_of_the_backend(body)) for path, body in sent]
