"""Keys and headers on their way from a caller to a backend, and limits on their way back."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from grpc import aio

from portico.errors import ErrorClass
from portico.remote import error_of
from portico.testing.upstream import Request, Upstream
from portico.testing.wire import Script, answer
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatRequest, GetStatusRequest, ListModelsRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from tests.end_to_end.backends import asked, bearer, chat, curl, gateway, openai_backend

REQUEST = ChatRequest(
    params=ChatCompletionParams(model="a/m", messages=[ChatMessage(role="user", content="hi")]),
    headers=[Header(name="authorization", value=b"Bearer theirs"), Header(name="x-tenant-id", value=b"t")],
)


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_gateways_key_and_a_backends_key_travel_side_by_side(tmp_path: Path) -> None:
    """x-portico-key opens the gateway; Authorization and the tenant go on; no key of the gateway does."""
    async with Upstream(openai_backend("hi")) as upstream:
        file = written(
            tmp_path,
            f"""
backends:
  a: {{dialect: openai, url: "{upstream.url}/v1", credentials: caller, pass_headers: [x-tenant-id]}}
keys: {{team: ${{TEAM_KEY}}}}
""",
        )
        async with gateway(tmp_path, {"TEAM_KEY": "ours"}, config=file) as running, curl(running) as client:
            both = {"x-portico-key": "ours", **bearer("theirs"), "x-tenant-id": "t", "x-other": "o"}
            one = bearer("ours")
            async with aio.insecure_channel(running.grpc) as channel:
                stub: Any = GatewayServiceStub(channel)
                for call in (
                    client.post("/v1/chat/completions", json=chat("a/m"), headers=both),
                    client.post("/v1/chat/completions", json=chat("a/m"), headers=one),
                ):
                    assert (await call).status_code == 200
                await stub.Chat(REQUEST, metadata=[("x-portico-key", "ours")])
                await stub.Chat(REQUEST, metadata=[("authorization", "Bearer ours")])
                by_both, by_one, *over_grpc = asked(upstream)
                assert by_both.headers["authorization"] == "Bearer theirs"
                assert by_both.headers["x-tenant-id"] == "t"
                assert not by_both.headers.keys() & {"x-other", "x-portico-key"}
                assert "authorization" not in by_one.headers
                for request in over_grpc:
                    assert request.headers["authorization"] == "Bearer theirs"
                    assert request.headers["x-tenant-id"] == "t"
                assert not any("ours" in str(request.headers) for request in upstream.requests)

                count = len(upstream.requests)
                for metadata in ([], [("authorization", "Bearer theirs")], [("x-portico-key", "our")]):
                    for rpc, message in ((stub.Chat, REQUEST), (stub.ListModels, ListModelsRequest())):
                        with pytest.raises(aio.AioRpcError) as caught:
                            await rpc(message, metadata=metadata)
                        error = error_of(caught.value)
                        assert (error.http_status, error.code) == (401, "invalid_api_key")
                        assert "Authorization: Bearer" in error.message
                assert len(upstream.requests) == count
                assert (await stub.GetStatus(GetStatusRequest())).backends[0].name == "a"


def by_key(request: Request) -> Script:
    """List the model that only the key's owner has; refuse requests without a key."""
    key = request.headers.get("authorization")
    if key is None or key == "Bearer wrong":
        error = {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "bad"}
        return answer(json.dumps({"error": error}).encode(), 401)
    return answer(json.dumps({"data": [{"id": key.removeprefix("Bearer ")}]}).encode())


async def test_each_caller_sees_the_models_of_its_own_key(tmp_path: Path) -> None:
    """Never another caller's; and a key that the backend refuses is the caller's matter: 401."""
    async with Upstream(by_key) as upstream:
        text = f"backends: {{a: {{dialect: openai, url: '{upstream.url}/v1', credentials: caller}}}}"
        async with gateway(tmp_path, config=written(tmp_path, text)) as running:
            for who in ("ann", "bob", "ann"):
                sdk = openai.AsyncOpenAI(base_url=running.url, api_key=who, max_retries=0)
                assert [model.id async for model in sdk.models.list()] == [f"a/{who}"]
                await sdk.close()
            async with openai.AsyncOpenAI(base_url=running.url, api_key="wrong", max_retries=0) as sdk:
                with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
                    await sdk.models.list()
                with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
                    await sdk.chat.completions.create(**chat("a/m"))
            async with curl(running) as client:
                assert (await client.get("/health")).json()["status"] == "ok"


LIMITED = answer(
    b'{"error": {"message": "Rate limit reached.", "type": "tokens", "code": "rate_limit_exceeded"}}',
    429,
    [
        ("retry-after", "17"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-internal", "no"),
    ],
)
LIMITS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "6m0s",
}


async def test_a_backends_rate_limit_reaches_every_caller(tmp_path: Path) -> None:
    """429 with Retry-After and the x-ratelimit headers: over HTTP, streamed or not, and in gRPC's details."""
    async with Upstream(LIMITED) as upstream:
        env = {"OPENAI_BASE_URL": f"{upstream.url}/v1", "OPENAI_API_KEY": "k"}
        async with gateway(tmp_path, env) as running:
            async with curl(running) as client:
                # A model each: who asks one again hears of the rest of its pause, and the backend nothing.
                for body in (chat("openai/one"), chat("openai/two", stream=True)):
                    limited = await client.post("/v1/chat/completions", json=body)
                    told(limited)
            async with openai.AsyncOpenAI(base_url=running.url, api_key="k", max_retries=0) as sdk:
                with pytest.raises(openai.RateLimitError) as raised:
                    await sdk.chat.completions.create(**chat("openai/three"))
                assert raised.value.response.headers["retry-after"] == "17"
            async with aio.insecure_channel(running.grpc) as channel:
                stub: Any = GatewayServiceStub(channel)
                with pytest.raises(aio.AioRpcError) as caught:
                    await stub.Chat(REQUEST)
                error = error_of(caught.value)
            assert (error.error_class, error.http_status) == (ErrorClass.CAPACITY, 429)
            assert (error.code, error.retry_after) == ("rate_limit_exceeded", 17)
            headers = {header.name: header.value.decode() for header in error.headers}
            assert {name: headers.get(name) for name in LIMITS} == LIMITS


def told(limited: httpx.Response) -> None:
    assert limited.status_code == 429
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    assert (limited.headers["retry-after"], limited.headers["retry-after-ms"]) == ("17", "17000")
    assert {name: limited.headers.get(name) for name in LIMITS} == LIMITS
    assert "x-internal" not in limited.headers
