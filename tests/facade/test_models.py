"""GET /v1/models and /v1/models/{id}."""

import pytest

from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import GetModelRequest, ListModelsRequest
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from tests.facade.clients import Facade


@pytest.fixture(autouse=True)
def models(gateway: FakeGateway) -> None:
    gateway.models = [
        Model(id="gpt-4", created=1, owned_by="local"),
        Model(id="local/org/qwen2.5:32b", created=2, owned_by="local"),
    ]


async def test_the_list_is_openai_s(portico: Facade) -> None:
    """In the order of the gateway."""
    answer = await portico.ask("GET", "/v1/models")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "object": "list",
        "data": [
            {"id": "gpt-4", "object": "model", "created": 1, "owned_by": "local"},
            {"id": "local/org/qwen2.5:32b", "object": "model", "created": 2, "owned_by": "local"},
        ],
    }


@pytest.mark.parametrize(
    "path", ["local/org/qwen2.5:32b", "local%2Forg%2Fqwen2.5:32b", "local/org/qwen2.5%3A32b"]
)
async def test_a_model_s_name_may_hold_slashes(portico: Facade, gateway: FakeGateway, path: str) -> None:
    """As they are or percent-encoded: SDKs do either."""
    answer = await portico.ask("GET", f"/v1/models/{path}")
    assert answer.status == 200
    assert answer.json == {
        "id": "local/org/qwen2.5:32b",
        "object": "model",
        "created": 2,
        "owned_by": "local",
    }
    call = await gateway.received()
    assert isinstance(call.request, GetModelRequest)
    assert call.request.id == "local/org/qwen2.5:32b"


@pytest.mark.parametrize("path", ["模型", "%E6%A8%A1型"])
async def test_a_model_s_name_may_come_as_utf_8(portico: Facade, gateway: FakeGateway, path: str) -> None:
    """As curl sends it."""
    gateway.models = [Model(id="模型")]
    async with portico.connect() as client:
        client.writer.write(f"GET /v1/models/{path} HTTP/1.1\r\nHost: portico\r\n\r\n".encode())
        assert (await client.answer()).json["id"] == "模型"


async def test_an_unknown_model_is_404(portico: Facade) -> None:
    """In OpenAI's words."""
    answer = await portico.ask("GET", "/v1/models/gpt-9")
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "`gpt-9`" in answer.error["message"]
    long = await portico.ask("GET", f"/v1/models/{'a' * 9000}")
    assert len(long.body) < 1000


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4"])
async def test_the_caller_s_headers_and_key_reach_the_gateway(
    portico: Facade, gateway: FakeGateway, path: str
) -> None:
    """Some backends list by the caller's credentials."""
    await portico.ask("GET", path, authorization="Bearer k", x_tenant="t")
    call = await gateway.received()
    assert isinstance(call.request, ListModelsRequest | GetModelRequest)
    assert list(call.request.headers) == [
        Header(name="authorization", value=b"Bearer k"),
        Header(name="x-tenant", value=b"t"),
    ]
    assert call.context.authorization == "Bearer k"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4", "/health", "/livez", "/readyz"])
async def test_head_is_get_without_the_body(portico: Facade, path: str) -> None:
    """Same status, same length."""
    got, headed = await portico.ask("GET", path), await portico.ask("HEAD", path)
    assert headed.status == got.status
    assert headed.body == b""
    assert headed.headers["content-length"] == str(len(got.body))
