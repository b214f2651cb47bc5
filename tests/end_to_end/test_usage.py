"""Usage is always told: the backend's own unchanged, else one that the gateway made and marked."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from portico.client import AsyncClient
from portico.testing.upstream import Request, Upstream
from portico.testing.wire import Script, answer, streamed
from portico.v1.usage_pb2 import UsageSource
from tests.end_to_end.backends import gateway

TOLD = {"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007}
HELLO: Any = [{"role": "user", "content": "How many tokens are these words?"}]


def _backend(usage: Any) -> Any:
    """Answer as a server that tells this usage, or none."""
    told = {} if usage is None else {"usage": usage}

    def choose(request: Request) -> Script:
        said = {"role": "assistant", "content": "Eight of them, or thereabouts."}
        if not request.json().get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            return answer(json.dumps({"id": "c", "model": "m", "choices": [choice], **told}).encode())
        choice = {"index": 0, "delta": said, "finish_reason": "stop"}
        events: list[Any] = [{"id": "c", "model": "m", "choices": [choice]}]
        events += [{"id": "c", "model": "m", "choices": [], **told}] if told else []
        lines = [b"data: %b\n\n" % json.dumps(event).encode() for event in events]
        return streamed([*lines, b"data: [DONE]\n\n"])

    return choose


@pytest.mark.parametrize("told", [TOLD, None], ids=["told", "not told"])
async def test_usage_is_there_whether_or_not_the_backend_tells_it(tmp_path: Path, told: Any) -> None:
    """Over HTTP, whole and streamed, and over gRPC."""
    async with Upstream(_backend(told)) as upstream:
        env = {"OPENAI_BASE_URL": f"{upstream.url}/v1"}
        async with (
            gateway(tmp_path, env) as running,
            openai.AsyncOpenAI(base_url=running.url, api_key="none", max_retries=0) as sdk,
            AsyncClient(running.grpc, timeout=20) as service,
        ):
            whole = await sdk.chat.completions.create(model="m", messages=HELLO)
            chunks = [
                each
                async for each in await sdk.chat.completions.create(
                    model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
                )
            ]
            over_grpc = (await service.chat("m", HELLO[0]["content"])).completion.usage
    assert chunks[-1].choices == []
    for usage in (whole.usage, chunks[-1].usage):
        assert usage is not None
        found = usage.to_dict()
        assert found.pop("source", None) == (None if told else "estimated")
        if told:
            assert found == told
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        # What a tokenizer would say, within a factor of two.
        assert told or (7 <= usage.prompt_tokens <= 28 and 4 <= usage.completion_tokens <= 16)
    assert (over_grpc.source == UsageSource.USAGE_SOURCE_ESTIMATED) is not bool(told)
    assert over_grpc.completion_tokens == (whole.usage.completion_tokens if whole.usage else None)
