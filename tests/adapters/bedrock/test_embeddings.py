"""Embeddings: OpenAI's request in, each family's own out, and back."""

import json
from typing import Any

import pytest

from portico.adapter import EmbeddingCall, Limits
from portico.errors import GatewayError
from portico.openai.requests import parse_embed
from portico.testing.upstream import Upstream
from portico.testing.wire import answer
from portico_adapters.bedrock import BedrockAdapter
from portico_adapters.bedrock.embeddings import embed_bodies
from tests.adapters.bedrock.fixtures import settings_for

TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "us.cohere.embed-v4:0"
NOVA = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-multimodal-embeddings-v1:0"


def call(model: str, texts: Any, **members: Any) -> EmbeddingCall:
    body = json.dumps({"model": "m", "input": texts, **members}).encode()
    return EmbeddingCall(parse_embed(body), model, backend="aws")


def _nova(text: str, **members: Any) -> dict[str, Any]:
    value = {"truncationMode": "NONE", "value": text}
    asked = {"embeddingPurpose": "GENERIC_INDEX", "text": value, **members}
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": asked}


@pytest.mark.parametrize(
    ("asked", "bodies"),
    [
        (call(TITAN, "a"), [{"inputText": "a"}]),
        (
            call(TITAN, ["a", "b"], dimensions=256, normalize=False),
            [{"inputText": text, "dimensions": 256, "normalize": False} for text in "ab"],
        ),
        (call(COHERE, ["a", "b"]), [{"texts": ["a", "b"], "input_type": "search_document"}]),
        (
            call(COHERE, "a", dimensions=512, input_type="search_query"),
            [{"texts": ["a"], "input_type": "search_query", "output_dimension": 512}],
        ),
        (call(NOVA, ["a", "b"], dimensions=256), [_nova(text, embeddingDimension=256) for text in "ab"]),
    ],
)
def test_each_family_is_asked_in_its_own_words(asked: EmbeddingCall, bodies: list[Any]) -> None:
    """Several texts are several requests where it takes one."""
    assert [json.loads(body) for body in embed_bodies(asked)] == bodies


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (call(TITAN, ["a", "b"]), {"embedding": [0.5, 1], "inputTextTokenCount": 3}),
        (call(COHERE, "a"), {"embeddings": [[0.5, 1]], "id": "x"}),
        (call(COHERE, "a"), {"embeddings": {"float": [[0.5, 1]], "int8": [[1, 2]]}}),
        (call(NOVA, "a"), {"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, 1]}]}),
    ],
)
async def test_each_familys_answer_is_read(asked: EmbeddingCall, body: Any) -> None:
    """Vectors in the order of the texts; the count stands in the body or in a header, which stays here."""
    headers = [("x-amzn-bedrock-input-token-count", "3")]
    async with Upstream(answer(json.dumps(body).encode(), 200, headers)) as upstream:
        adapter = BedrockAdapter("aws", settings_for(upstream.url), Limits())
        response = await adapter.embed(asked)
        await adapter.aclose()
    count = len(upstream.requests)
    assert [list(each.doubles.values) for each in response.embeddings.data] == [[0.5, 1.0]] * count
    assert [each.index for each in response.embeddings.data] == list(range(count))
    assert response.embeddings.usage.prompt_tokens == 3 * count
    assert not response.headers


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (call("anthropic.claude-sonnet-4-5-20250929-v1:0", "a"), "model"),
        (call(TITAN, [1, 2]), "input"),
        (call(TITAN, ""), "input"),
        (call(COHERE, []), "input"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(asked: EmbeddingCall, param: str) -> None:
    """Other models and other input than text."""
    with pytest.raises(GatewayError) as raised:
        embed_bodies(asked)
    assert (raised.value.http_status, raised.value.param) == (400, param)


@pytest.mark.parametrize(
    ("asked", "body", "status"),
    [
        (call(COHERE, ["a", "b"]), {"embeddings": [[1]]}, 502),
        (call(TITAN, "a", dimensions=2), {"embedding": [1]}, 400),
        (call(TITAN, "a"), {"message": "no vectors"}, 502),
    ],
)
async def test_a_wrong_answer_is_an_error(asked: EmbeddingCall, body: Any, status: int) -> None:
    """Too few vectors, vectors of another length, none."""
    async with Upstream(answer(json.dumps(body).encode())) as upstream:
        adapter = BedrockAdapter("aws", settings_for(upstream.url), Limits())
        with pytest.raises(GatewayError) as raised:
            await adapter.embed(asked)
        await adapter.aclose()
    assert raised.value.http_status == status
