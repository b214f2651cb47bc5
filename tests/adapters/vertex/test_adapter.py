"""What goes to Vertex AI: addresses, tokens, embeddings; and the configuration."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portico.adapter import EmbeddingCall, Limits
from portico.config import Url
from portico.errors import ErrorClass, GatewayError
from portico.secret import Secret
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.completions_pb2 import TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.vertex import VertexAdapter
from portico_adapters.vertex.settings import VertexSettings
from tests.adapters.gemini.fixtures import CALL, chat_call, read

EMBED = EmbeddingCall(
    EmbeddingParams(
        input=TextInput(texts=TextList(values=["a", "b"])),
        dimensions=2,
        extra_json='{"task_type":"CLUSTERING","autoTruncate":false}',
    ),
    "text-embedding-005",
)
VECTORS = b"""{"predictions":[{"embeddings":{"values":[0.5,1],"statistics":{"token_count":2}}},
    {"embeddings":{"values":[0,1]}}]}"""


@asynccontextmanager
async def backend(*answers: Answerer, **settings: Any) -> AsyncIterator[tuple[VertexAdapter, Upstream]]:
    """Yield an adapter and its server, which gives these answers."""
    async with Upstream(*answers) as upstream:
        told = VertexSettings(url=Url(upstream.url), project="acme-1", location="europe-west4", **settings)
        adapter = VertexAdapter("vertex", told, Limits())
        try:
            yield adapter, upstream
        finally:
            await adapter.aclose()


async def test_each_way_has_its_address() -> None:
    """Below project and location, with the token; a tuned model has its endpoint."""
    listed = b'{"publisherModels":[{"name":"publishers/google/models/gemini-x"}]}'
    scripts = (
        answer(read("text.json")),
        streamed(read("text.txt")),
        answer(VECTORS),
        answer(listed),
        answer(read("text.json")),
    )
    async with backend(*scripts, access_token=Secret("ya29.x")) as (adapter, upstream):
        await adapter.chat(CALL)
        async with aclosing(adapter.stream(CALL)) as messages:
            assert [message async for message in messages]
        embeddings = (await adapter.embed(EMBED)).embeddings
        (model,) = await adapter.list_models(())
        await adapter.chat(chat_call("endpoints/123"))
    assert model.id == "gemini-x"
    assert [list(each.doubles.values) for each in embeddings.data] == [[0.5, 1], [0, 1]]
    assert embeddings.usage.prompt_tokens == 2
    root = "/v1/projects/acme-1/locations/europe-west4"
    assert [request.path for request in upstream.requests] == [
        f"{root}/publishers/google/models/gemini-2.5-flash:generateContent",
        f"{root}/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        f"{root}/publishers/google/models/text-embedding-005:predict",
        "/v1beta1/publishers/google/models?pageSize=1000",
        f"{root}/endpoints/123:generateContent",
    ]
    assert {request.headers["authorization"] for request in upstream.requests} == {"Bearer ya29.x"}
    assert upstream.requests[2].json() == {
        "instances": [
            {"task_type": "CLUSTERING", "content": "a"},
            {"task_type": "CLUSTERING", "content": "b"},
        ],
        "parameters": {"outputDimensionality": 2, "autoTruncate": False},
    }
    assert upstream.requests[3].headers["x-goog-user-project"] == "acme-1"


async def test_a_service_accounts_token_is_signed_here(tmp_path: Path) -> None:
    """Once for many calls; nobody else is asked."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(_account()))
    async with backend(answer(read("text.json")), service_account=str(file)) as (adapter, upstream):
        await adapter.chat(CALL)
        await adapter.chat(CALL)
    one, other = (request.headers["authorization"] for request in upstream.requests)
    assert one == other
    claims = one.removeprefix("Bearer ").split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert told["sub"] == "robot@acme-1.iam.gserviceaccount.com"
    assert told["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def _account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "private_key_id": "1",
        "private_key": text,
        "client_email": "robot@acme-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


async def test_a_file_that_is_no_account_is_the_gateways_matter(tmp_path: Path) -> None:
    """The caller learns nothing of it, and another candidate may do better."""
    file = tmp_path / "key.json"
    file.write_text("{}")
    for path in (file, tmp_path / "nowhere.json"):
        async with backend(service_account=str(path)) as (adapter, _):
            with pytest.raises(GatewayError) as raised:
                await adapter.chat(CALL)
        assert raised.value.error_class is ErrorClass.CREDENTIAL
        assert str(path) not in raised.value.message
        assert str(path) in raised.value.detail


@pytest.mark.parametrize(
    ("location", "root"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
    ],
)
def test_a_location_has_its_address(location: str, root: str) -> None:
    """As Google's own SDK has them."""
    assert VertexSettings(project="p", location=location).root == root


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"project": ""}, "project"),
        ({"project": "p/q"}, "project"),
        ({"location": "../x"}, "location"),
        ({"url": Url("https://aiplatform.googleapis.com/v1")}, "url"),
        ({"version": "1"}, "version"),
        ({"access_token": Secret("a\n")}, "access_token"),
        ({"access_token": Secret("a"), "service_account": "x.json"}, "service_account"),
        ({"access_token": Secret("a"), "credentials": "caller"}, "api_key"),
        ({"access_token": Secret("a"), "pass_headers": ["authorization"]}, "pass_headers"),
    ],
)
def test_what_cannot_be_meant_is_refused(members: dict[str, Any], named: str) -> None:
    """By the name of the member."""
    with pytest.raises(ValueError, match=f"^{named}: "):
        VertexSettings(**{"project": "p", **members})
