"""Streams of a running gateway: each chunk at its time, and to the end when the gateway is told to stop."""

import asyncio
import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from portico.client import AsyncClient
from portico.testing.upstream import Upstream
from portico.testing.wire import LAST_CHUNK, Step, chunk, head
from tests.end_to_end.backends import gateway, openai_backend
from tests.support.gateway import Gateway

HELLO: Any = [{"role": "user", "content": "count"}]
COUNT = 20


def _event(delta: Any, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return chunk(b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode())


@pytest.mark.parametrize("over", ["http", "grpc"])
async def test_each_chunk_arrives_before_the_next_is_made(tmp_path: Path, over: str) -> None:
    """The backend makes a token when the caller has the one before: a buffer anywhere would stop both."""
    asked_for = [asyncio.Event() for _ in range(COUNT)]
    steps: list[Step] = [head(content_type="text/event-stream")]
    for number, event in enumerate(asked_for):
        steps += [event, _event({"content": f"{number} "})]
    steps += [_event({}, "stop"), chunk(b"data: [DONE]\n\n"), LAST_CHUNK]
    async with Upstream(steps) as upstream:
        env = {"OPENAI_BASE_URL": f"{upstream.url}/v1"}
        async with gateway(tmp_path, env) as running, asyncio.timeout(30):
            asked_for[0].set()
            got = 0
            pieces = _over_http(running) if over == "http" else _over_grpc(running)
            async for piece in pieces:
                assert piece == f"{got} "
                got += 1
                if got < COUNT:
                    asked_for[got].set()
            assert got == COUNT


@pytest.mark.parametrize("over", ["http", "grpc"])
async def test_a_backend_that_cannot_stream_is_streamed_all_the_same(tmp_path: Path, over: str) -> None:
    """Its whole answer comes as one piece, and the stream is whole."""
    async with Upstream(openai_backend("hi there", "m")) as upstream:
        env = {"OPENAI_BASE_URL": f"{upstream.url}/v1"}
        async with gateway(tmp_path, env) as running, asyncio.timeout(30):
            pieces = _over_http(running) if over == "http" else _over_grpc(running)
            assert [piece async for piece in pieces] == ["hi there"]


async def _over_http(running: Gateway) -> Any:
    async with openai.AsyncOpenAI(base_url=running.url, api_key="none", max_retries=0) as sdk:
        async for each in await sdk.chat.completions.create(model="m", messages=HELLO, stream=True):
            if each.choices[0].delta.content:
                yield each.choices[0].delta.content


async def _over_grpc(running: Gateway) -> Any:
    async with AsyncClient(running.grpc) as client, client.stream("m", "count", timeout=30) as stream:
        async for piece in stream.text():
            yield piece


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_told_to_stop_finishes_its_streams(
    gateways: Callable[[str], Gateway], how: signal.Signals
) -> None:
    running = gateways("backends: {dummy: {dialect: dummy, pace: 0.05}}\n")
    with running.sdk() as sdk:
        stream = sdk.chat.completions.create(model="dummy/story-1", messages=HELLO, stream=True)
        assert len(list(itertools.islice(stream, 3))) == 3
        running.process.popen.send_signal(how)
        assert [choice.finish_reason for each in stream for choice in each.choices][-1] == "stop"
    assert running.process.popen.wait(15) == 0
