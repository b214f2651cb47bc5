"""The gateway's own keys: who may call, and that no backend ever sees one."""

from collections.abc import Sequence

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.secret import Secret
from portico.v1.gateway_pb2 import (
    ChatRequest,
    CompleteRequest,
    EmbedRequest,
    GetModelRequest,
    GetStatusRequest,
    ListModelsRequest,
    StreamCompleteRequest,
)
from portico.v1.headers_pb2 import Header
from portico_core.config import Config, Key
from portico_core.keys import Keys
from tests.support.core import BINDINGS, Upstream, answer, ask, ask_stream, config, finish, role, text

KEYS = (Key("team-a", Secret("key1")), Key("team-b", Secret("key2")))


def locked(upstream: Upstream) -> Config:
    """Return a configuration that asks for a key."""
    made = config({"a": upstream})
    return Config(made.grpc, made.backends, made.routes, KEYS)


def pairs(headers: Sequence[Header]) -> list[tuple[str, bytes]]:
    return [(header.name, header.value) for header in headers]


@pytest.mark.parametrize(
    "context",
    [
        CallContext("", authorization="Bearer key2"),
        CallContext("", authorization="bearer  key2 "),
        CallContext("", authorization="key2"),
        CallContext("", key="key2"),
        CallContext("", authorization="Bearer for-the-backend", key="key2"),
    ],
)
def test_a_key_opens(context: CallContext) -> None:
    """As bearer token, or as x-portico-key, which goes before it."""
    assert Keys(KEYS).authenticate(context).name == "team-b"


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (CallContext(""), "needs a key. Send it as `Authorization: Bearer KEY`, or as `x-portico-key: KEY`"),
        (CallContext("", authorization="Bearer "), "needs a key"),
        (CallContext("", authorization="Bearer key"), "not one of this gateway's. Send it as"),
        (CallContext("", authorization="Basic key1"), "not one of"),
        (CallContext("", authorization="Bearer key1", key="key"), "not one of"),
        (CallContext("", authorization="Bearer key1,key2"), "not one of"),
    ],
)
def test_anything_else_is_refused_and_told_how_to_send_it(context: CallContext, message: str) -> None:
    with pytest.raises(GatewayError, match=message) as caught:
        Keys(KEYS).authenticate(context)
    assert (caught.value.http_status, caught.value.code) == (401, "invalid_api_key")
    assert "key1" not in caught.value.message


def test_without_keys_everybody_may_call() -> None:
    assert Keys(()).authenticate(CallContext("", authorization="Bearer x")).name == "anonymous"


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_refused_call_reaches_no_backend(binding: str) -> None:
    """Chat, streams and the models are behind the door; how the gateway is doing stands outside."""
    upstream = Upstream([[answer()]])
    async with BINDINGS[binding](locked(upstream)) as gateway:
        for wrong in (CallContext(""), CallContext("", authorization="Bearer x"), CallContext("", key="x")):
            for call in (
                lambda context: gateway.chat(ask(), context),
                lambda context: anext(gateway.stream(ask_stream(), context)),
                lambda context: gateway.complete(CompleteRequest(), context),
                lambda context: anext(gateway.stream_complete(StreamCompleteRequest(), context)),
                lambda context: gateway.embed(EmbedRequest(), context),
                lambda context: gateway.list_models(ListModelsRequest(), context),
                lambda context: gateway.get_model(GetModelRequest(id="m"), context),
            ):
                with pytest.raises(GatewayError) as caught:
                    await call(wrong)
                assert (caught.value.http_status, caught.value.code) == (401, "invalid_api_key")
        assert (await gateway.get_status(GetStatusRequest(), CallContext(""))).backends
    assert upstream.calls == []


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_key_opens_every_rpc(binding: str) -> None:
    upstream = Upstream([[answer()], [role(), text("hello"), finish()]])
    async with BINDINGS[binding](locked(upstream)) as gateway:
        for right in (CallContext("", authorization="Bearer key1"), CallContext("", key="key2")):
            assert (await gateway.list_models(ListModelsRequest(), right)).models[0].id == "m"
        response = await gateway.chat(ask(), CallContext("", key="key1"))
        assert response.completion.choices[0].message.content == "hello"
        stream = gateway.stream(ask_stream(), CallContext("", authorization="Bearer key1"))
        assert len([response async for response in stream]) > 0


@pytest.mark.parametrize("binding", BINDINGS)
async def test_backends_see_the_callers_headers_but_no_key_of_the_gateway(binding: str) -> None:
    """Wherever the caller put it; what is meant for the backend stays."""
    kept = [
        Header(name="authorization", value=b"Bearer for-the-backend"),
        Header(name="x-tenant-id", value=b"key1"),
        Header(name="x-dummy-tag", value=b"\xfftutorial"),
    ]
    ours = [
        Header(name="x-portico-key", value=b"key1"),
        Header(name="Authorization", value=b"Bearer key1"),
        Header(name="x-api-key", value=b"key2"),
    ]
    upstream = Upstream([[answer()]])
    async with BINDINGS[binding](locked(upstream)) as gateway:
        await gateway.chat(ask_with(kept, ours), CallContext("", key="key1"))
    assert pairs(upstream.calls[0].headers) == pairs(kept)


def ask_with(*headers: Sequence[Header]) -> ChatRequest:
    """Return a small request with headers."""
    request = ask()
    for each in headers:
        request.headers.extend(each)
    return request
