"""What Azure sent says the same to the official SDK directly and by way of the adapter, however it is cut."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from portico.adapter import Limits
from portico.errors import UNKNOWN_URL, GatewayError, from_upstream
from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.secret import Secret
from portico.testing.contract import messages_of
from portico.testing.upstream import Upstream
from portico.testing.wire import Script, answer
from portico.testing.wire import streamed as sse
from portico_adapters.azure import AzureAdapter, AzureSettings
from tests.adapters.openai_tools import CALL
from tests.support.corpus import Case, parametrize
from tests.support.meaning import streamed, whole

VERSION = "2024-10-21"
SIZES = pytest.mark.parametrize("size", [None, 64, 1], ids=["whole", "64 bytes", "1 byte"])


def _is_chat(case: Case) -> bool:
    return case.provider == "azure" and case.path.split("?")[0].endswith("/chat/completions")


@asynccontextmanager
async def adapter_for(*answers: Script) -> AsyncIterator[AzureAdapter]:
    async with Upstream(*answers) as upstream:
        adapter = AzureAdapter(
            "azure", AzureSettings(upstream.url, Secret("k"), api_version=VERSION), Limits()
        )
        try:
            yield adapter
        finally:
            await adapter.aclose()


async def read_by_sdk(script: Script, *, stream: bool) -> Any:
    """Return what the SDK for Azure makes of an answer."""
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    async with (
        Upstream(script) as upstream,
        openai.AsyncAzureOpenAI(
            azure_endpoint=upstream.url, api_version=VERSION, api_key="k", max_retries=0
        ) as sdk,
    ):
        answered = await sdk.chat.completions.create(**asked)
        return streamed([chunk async for chunk in answered]) if stream else whole(answered)


@SIZES
@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream is None)
async def test_an_answer_says_the_same(case: Case, size: int | None) -> None:
    """With what the filter says of it."""
    async with adapter_for(answer(case.body, size=size)) as adapter:
        response = await adapter.chat(CALL)
    rendered = render_completion(response.completion)
    direct = await read_by_sdk(answer(case.body), stream=False)
    assert await read_by_sdk(answer(rendered), stream=False) == direct


@SIZES
@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream == "sse")
async def test_a_stream_says_the_same(case: Case, size: int | None) -> None:
    """Piece by piece, with its usage."""
    async with adapter_for(sse(case.body, size=size)) as adapter:
        messages = await messages_of(adapter, CALL)
    renderer = ChunkRenderer(include_usage=True)
    rendered = b"".join(map(renderer.render, messages)) + renderer.finish()
    assert await read_by_sdk(sse(rendered), stream=True) == await read_by_sdk(sse(case.body), stream=True)
    told = b"prompt_filter_results"
    assert rendered.count(told) == case.body.count(told)


@parametrize(lambda case: _is_chat(case) and case.status >= 400)
async def test_an_error_is_of_its_class(case: Case) -> None:
    """Unstreamed and streamed."""
    expected = from_upstream(case.status, "")
    # What Azure says of a path that it does not have; of a deployment it has other words.
    code = UNKNOWN_URL if b"Resource not found" in case.body else expected.code
    async with adapter_for(answer(case.body, case.status)) as adapter:
        for way in (adapter.chat(CALL), messages_of(adapter, CALL)):
            with pytest.raises(GatewayError) as caught:
                await way
            assert caught.value.error_class is expected.error_class
            assert caught.value.http_status == expected.http_status
            assert caught.value.code == code
