"""Azure OpenAI: where its two surfaces are, and how the key is sent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portico.adapter import Adapter, Limits
from portico.adapter import Upstream as Call
from portico.errors import ErrorClass, GatewayError
from portico.openai.responses import render_completion
from portico.secret import Secret
from portico.testing.contract import Exchange, messages_of
from portico.testing.upstream import Answerer, Upstream
from portico.testing.upstream_contract import UpstreamContract
from portico.testing.wire import answer, streamed
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.azure import AzureAdapter, AzureSettings
from tests.adapters.openai_tools import CALL, WIRE

WHOLE = answer(
    b'{"id":"c","model":"gpt-4o-2024-08-06","prompt_filter_results":[{"prompt_index":0}],'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop",'
    b'"content_filter_results":{"hate":{"filtered":false}}}]}'
)


@asynccontextmanager
async def backend(*answers: Answerer, **members: Any) -> AsyncIterator[tuple[AzureAdapter, Upstream]]:
    async with Upstream(*answers) as upstream:
        adapter = AzureAdapter("azure", AzureSettings(url=f"{upstream.url}/", **members), Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (
            "2024-02-15-preview",
            "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-02-15-preview",
        ),
        ("preview", "/openai/v1/chat/completions?api-version=preview"),
        (None, "/openai/v1/chat/completions"),
    ],
)
async def test_a_version_chooses_the_surface(version: str | None, path: str) -> None:
    """A date is of the classic one, with the deployment in the path; v1 has it in the body."""
    async with backend(WHOLE, api_version=version, api_key=Secret("k")) as (adapter, upstream):
        response = await adapter.chat(CALL)
        (request,) = upstream.requests
    assert request.path == path
    assert request.json()["model"] == CALL.model
    assert request.headers["api-key"] == "k"
    assert "authorization" not in request.headers
    assert response.completion.choices[0].message.content == "hi"


async def test_a_stream_may_begin_with_what_the_filter_says_of_the_prompt() -> None:
    events = [
        b'data: {"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"}}]}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
        b"data: [DONE]\n\n",
    ]
    async with backend(streamed(events), api_version="2024-10-21") as (adapter, _):
        messages = [message async for message in adapter.stream(CALL)]
    texts = [choice.delta.content for each in messages for chunk in each.chunks for choice in chunk.choices]
    assert "".join(texts) == "hi"
    assert "prompt_filter_results" in "".join(chunk.extra_json for each in messages for chunk in each.chunks)


@pytest.mark.parametrize(
    ("status", "error", "error_class", "told"),
    [
        (401, {"code": "401", "message": "Access denied due to invalid key."}, ErrorClass.CREDENTIAL, 502),
        (404, {"code": "DeploymentNotFound", "message": "No such deployment."}, ErrorClass.CALLER, 404),
        (429, {"code": "RateLimitReached", "message": "Retry later."}, ErrorClass.CAPACITY, 429),
        (
            400,
            {"code": "content_filter", "message": "The prompt was filtered.", "innererror": {"code": "x"}},
            ErrorClass.CALLER,
            400,
        ),
    ],
)
async def test_errors_mean_what_azure_means(
    status: int, error: dict[str, Any], error_class: ErrorClass, told: int
) -> None:
    refusal = answer(json.dumps({"error": error}).encode(), status, [("retry-after", "7")])
    async with backend(refusal, api_version="2024-10-21") as (adapter, _):
        with pytest.raises(GatewayError) as caught:
            await adapter.chat(CALL)
    assert (caught.value.error_class, caught.value.http_status) == (error_class, told)
    if status == 429:
        assert caught.value.retry_after == 7


@pytest.mark.parametrize("way", [AzureAdapter.chat, messages_of], ids=["unstreamed", "streamed"])
async def test_a_deployment_that_does_not_exist_is_a_model_that_does_not(way: Any) -> None:
    """By OpenAI's code, and naming the member that is wrong."""
    refusal = (
        b'{"error":{"type":"invalid_request_error","code":"DeploymentNotFound","message":"No such one."}}'
    )
    async with backend(answer(refusal, 404), api_version="2024-10-21") as (adapter, _):
        with pytest.raises(GatewayError, match="No such one") as caught:
            await way(adapter, CALL)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_azure_may_ask_for_a_repeat_at_once() -> None:
    """Milliseconds, 0 of them too, go before the seconds beside them."""
    limits = [("retry-after", "1"), ("retry-after-ms", "0")]
    refusal = answer(b'{"error":{"code":"RateLimitReached","message":"Later."}}', 429, limits)
    async with backend(refusal) as (adapter, _):
        with pytest.raises(GatewayError) as caught:
            await adapter.chat(CALL)
    assert (caught.value.retry_after, caught.value.code) == (0.0, "rate_limit_exceeded")


async def test_an_answer_that_the_filter_took_away_has_a_message_all_the_same() -> None:
    """Without content, as clients expect it; what the filter says of it stays."""
    filtered = (
        b'{"id":"c","choices":[{"index":0,"finish_reason":"content_filter",'
        b'"content_filter_results":{"hate":{"filtered":true}}}]}'
    )
    async with backend(answer(filtered)) as (adapter, _):
        response = await adapter.chat(CALL)
    (choice,) = json.loads(render_completion(response.completion))["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None},
        "logprobs": None,
        "finish_reason": "content_filter",
        "content_filter_results": {"hate": {"filtered": True}},
    }


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2024-10-21", "/openai/deployments/gpt-4o-mini/{}?api-version=2024-10-21"),
        (None, "/openai/v1/{}"),
    ],
)
async def test_text_and_embeddings_are_found_alike(version: str | None, path: str) -> None:
    """Beside chat, on either surface."""
    text = b'{"id":"t","choices":[{"index":0,"text":"hi","finish_reason":"stop"}]}'
    vectors = b'{"data":[{"index":0,"embedding":[0.5]}]}'
    async with backend(answer(text), answer(vectors), api_version=version) as (adapter, upstream):
        texts = TextCompletionParams(prompt=TextInput(text="x"))
        completed = await adapter.complete(Call(texts, "gpt-4o-mini"))
        embedded = await adapter.embed(Call(EmbeddingParams(input=TextInput(text="x")), "gpt-4o-mini"))
    assert completed.completion.choices[0].text == "hi"
    assert embedded.embeddings.data[0].doubles.values == [0.5]
    paths = [request.path for request in upstream.requests]
    assert paths == [path.format("completions"), path.format("embeddings")]


async def test_no_models_are_listed_as_no_key_can_list_deployments() -> None:
    async with backend(WHOLE) as (adapter, upstream):
        assert await adapter.list_models(()) == ()
        assert upstream.requests == []


@pytest.mark.parametrize("path", ["/openai", "/openai/v1/"])
def test_the_url_is_the_resources_root(path: str) -> None:
    with pytest.raises(ValueError, match="url: expected the resource's root"):
        AzureSettings(url=f"https://acme.openai.azure.com{path}")


def _exchange(file: Path) -> Exchange:
    events = file.with_suffix(".txt").read_bytes().split(b"\n\n")
    return Exchange(CALL, "text", file.read_bytes(), [event + b"\n\n" for event in events if event])


class TestAzure(UpstreamContract):
    """On the classic surface."""

    exchanges = (_exchange(WIRE / "text.json"),)

    def test_models_are_listed(self) -> None:
        """They are not: see above."""

    def make_adapter(self, url: str) -> Adapter:
        return AzureAdapter("azure", AzureSettings(url=url, api_version="2024-10-21"), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": {"code": "x", "message": message}}).encode()


def test_nothing_is_continued_at_azure() -> None:
    """Who asks for it in the configuration learns what to do."""
    with pytest.raises(ValueError, match="Remove it here"):
        AzureSettings(url="https://acme.openai.azure.com", continues="last_message")
