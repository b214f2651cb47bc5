"""The lists of models: those that can be called by their own names, and profiles."""

import json
from typing import Any

from portico.adapter import Limits
from portico.testing.upstream import Upstream
from portico.testing.wire import answer
from portico_adapters.bedrock import BedrockAdapter
from tests.adapters.bedrock.fixtures import settings_for


def _model(id_: str, *types: str, output: str = "TEXT") -> dict[str, Any]:
    return {
        "modelId": id_,
        "providerName": "Amazon",
        "outputModalities": [output],
        "inferenceTypesSupported": list(types),
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _page(*profiles: dict[str, Any], token: str | None = None) -> bytes:
    return json.dumps({"inferenceProfileSummaries": profiles, "nextToken": token}).encode()


MODELS = [
    _model("amazon.nova-lite-v1:0", "ON_DEMAND", "PROVISIONED"),
    _model("anthropic.claude-sonnet-4-5-20250929-v1:0", "INFERENCE_PROFILE"),
    _model("amazon.titan-embed-text-v2:0", "ON_DEMAND", output="EMBEDDING"),
    _model("amazon.nova-canvas-v1:0", "ON_DEMAND", output="IMAGE"),
    {"modelId": "new.model"},
]
ARN = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1"


async def test_what_is_listed_can_be_called() -> None:
    """Models on demand, and the profiles of all pages; requests are signed."""
    system = {
        "inferenceProfileId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "type": "SYSTEM_DEFINED",
        "status": "ACTIVE",
        "createdAt": "2025-09-29T00:00:00Z",
    }
    own = {"inferenceProfileId": "x1", "inferenceProfileArn": ARN, "type": "APPLICATION", "status": "ACTIVE"}
    pages = [json.dumps({"modelSummaries": MODELS}).encode(), _page(system, token="a/b="), _page(own)]
    async with Upstream(*map(answer, pages)) as upstream:
        adapter = BedrockAdapter("aws", settings_for(upstream.url), Limits())
        models = await adapter.list_models(())
        await adapter.aclose()
        requests = upstream.requests
    assert [(model.id, model.owned_by) for model in models] == [
        ("amazon.nova-lite-v1:0", "Amazon"),
        ("amazon.titan-embed-text-v2:0", "Amazon"),
        ("new.model", "bedrock"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        (ARN, "bedrock"),
    ]
    assert models[3].created == 1_759_104_000
    assert [request.path for request in requests] == [
        "/foundation-models",
        "/inference-profiles?maxResults=1000",
        "/inference-profiles?maxResults=1000&nextToken=a%2Fb%3D",
    ]
    assert all(request.headers["authorization"].startswith("AWS4-HMAC-SHA256") for request in requests)
