"""POST /v1/chat/completions: the answer's shape, whole and streamed."""

import gzip
import logging

import pytest

from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Attempt, Receipt, Served
from portico.v1.usage_pb2 import Usage, UsageSource
from tests.facade.clients import Facade
from tests.facade.messages import ask, first, last, response, tokens

CHAT = "/v1/chat/completions"


async def test_an_answer_is_openai_s_and_says_who_served_it(portico: Facade, gateway: FakeGateway) -> None:
    """Body, rate limits, server, request id, time, model and attempts."""
    gateway.receipt = Receipt(attempts=[Attempt(), Attempt()])
    answer = await portico.ask("POST", CHAT, ask(), x_request_id="mine")
    assert answer.status == 200
    assert answer.json["object"] == "chat.completion"
    assert answer.json["choices"][0]["message"] == {"role": "assistant", "content": "hi", "refusal": None}
    assert int(answer.headers.pop("openai-processing-ms")) < 5000
    assert answer.headers.pop("date").endswith("GMT")
    assert answer.headers == {
        "server": "portico",
        "content-type": "application/json",
        "content-length": str(len(answer.body)),
        "x-request-id": "mine",
        "x-portico-model": "local/qwen2.5:32b",
        "x-portico-attempts": "2",
        "x-ratelimit-remaining-requests": "9",
    }


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (UsageSource.USAGE_SOURCE_UNSPECIFIED, None),
        (UsageSource.USAGE_SOURCE_COUNTED, "counted"),
        (UsageSource.USAGE_SOURCE_ESTIMATED, "estimated"),
        (77, None),
    ],
)
async def test_an_answer_says_who_counted_its_tokens_where_the_backend_did_not(
    portico: Facade, gateway: FakeGateway, source: UsageSource.ValueType, told: str | None
) -> None:
    """Nor does it fail for a word of a later contract."""
    gateway.receipt = Receipt(usage=Usage(total_tokens=1, source=source))
    answer = await portico.ask("POST", CHAT, ask())
    assert (answer.status, answer.headers.get("x-portico-usage")) == (200, told)


async def test_the_gateway_gets_parameters_headers_and_key(portico: Facade, gateway: FakeGateway) -> None:
    """What the caller sent travels on; what concerned this connection does not."""
    await portico.ask(
        "POST",
        CHAT,
        ask(temperature=0.5),
        authorization="Bearer key",
        x_portico_key="ours",
        x_tenant="käse",
        connection="x-hop",
        x_hop="1",
        x_request_id="r-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    call = await gateway.received()
    assert isinstance(call.request, ChatRequest)
    assert call.request.params.temperature == 0.5
    assert list(call.request.headers) == [
        Header(name="authorization", value=b"Bearer key"),
        Header(name="x-tenant", value="käse".encode("latin-1")),
    ]
    assert call.context.request_id == "r-1"
    assert (call.context.key, call.context.authorization) == ("ours", "Bearer key")
    assert call.context.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_stream_is_events_in_the_order_of_the_gateway_and_then_done(portico: Facade) -> None:
    """One write per message of the gateway; no usage unless asked for."""
    answer = await portico.ask("POST", CHAT, ask(stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-portico-model"] == "local/qwen2.5:32b"
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert "x-request-id" in answer.headers
    assert "openai-processing-ms" in answer.headers
    assert "content-length" not in answer.headers
    assert [chunk.count(b"data: ") for chunk in answer.chunks] == [1, 1, 1, 1]
    *chunks, done = answer.events
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert not any("usage" in chunk for chunk in chunks)


async def test_tokens_that_were_ready_together_are_written_together(
    portico: Facade, gateway: FakeGateway
) -> None:
    """A message of the gateway is one write, however many chunks it holds."""
    gateway.on_stream = [first("a", "b", "c"), tokens(*"defgh"), last()]
    answer = await portico.ask("POST", CHAT, ask(stream=True))
    assert [chunk.count(b"data: ") for chunk in answer.chunks] == [3, 5, 1, 1]


async def test_usage_comes_last_when_it_is_asked_for(portico: Facade) -> None:
    """stream_options.include_usage."""
    answer = await portico.ask("POST", CHAT, ask(stream=True, stream_options={"include_usage": True}))
    *chunks, usage, done = answer.events
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 3
    assert all(chunk["usage"] is None for chunk in chunks)


async def test_the_headers_are_sent_with_the_first_message_even_if_it_holds_no_chunk(
    portico: Facade, gateway: FakeGateway
) -> None:
    """The caller sees that the backend works before the first token is there."""
    gateway.on_stream = [first(), tokens("x"), last()]
    answer = await portico.ask("POST", CHAT, ask(stream=True))
    assert answer.headers["x-portico-model"] == "local/qwen2.5:32b"
    assert answer.events[-1] == "[DONE]"


async def test_a_head_request_for_a_stream_option_reaches_the_gateway(
    portico: Facade, gateway: FakeGateway
) -> None:
    """The parameters of a stream travel as those of a whole answer do."""
    await portico.ask("POST", CHAT, ask(stream=True, seed=7), x_dummy_tag="t")
    call = await gateway.received()
    assert isinstance(call.request, StreamRequest)
    assert call.request.params.seed == 7
    assert list(call.request.headers) == [Header(name="x-dummy-tag", value=b"t")]


async def test_a_body_in_gzip_is_unpacked(portico: Facade, gateway: FakeGateway) -> None:
    """Content-Encoding: gzip."""
    body = gzip.compress(b'{"model": "zip", "messages": [{"role": "user", "content": "hello"}]}')
    answer = await portico.ask("POST", CHAT, body, content_encoding="gzip")
    assert answer.status == 200
    call = await gateway.received()
    assert isinstance(call.request, ChatRequest)
    assert call.request.params.model == "zip"


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
)
async def test_the_body_is_json_whatever_its_content_type_says(portico: Facade, content_type: str) -> None:
    """curl -d says that everything is a form."""
    answer = await portico.ask("POST", CHAT, ask(), content_type=content_type)
    assert answer.status == 200


async def test_a_backend_cannot_forge_the_frame_of_an_answer(portico: Facade, gateway: FakeGateway) -> None:
    """Of its headers those travel on that describe neither the connection nor the body."""
    sent = {
        "content-length": b"1",
        "connection": b"close",
        "x-request-id": b"forged",
        "Access-Control-Allow-Origin": b"https://evil.example.com",
        "x-split": b"a\r\nb: c",
        "x split": b"1",
        "x-empty": b"",
        "x-accel-redirect": b"/secret",
        "x-sendfile": b"/etc/passwd",
        "allow": b"GET",
        "anthropic-ratelimit-tokens-limit": b"100",
    }
    gateway.on_chat = [response(headers=[Header(name=name, value=value) for name, value in sent.items()])]
    answer = await portico.ask("POST", CHAT, ask())
    assert answer.json["choices"]
    assert answer.headers["anthropic-ratelimit-tokens-limit"] == "100"
    assert answer.headers["x-request-id"] != "forged"
    forged = {"connection", "access-control-allow-origin", "b", "x-split", "x split", "x-empty", "allow"}
    forged |= {"x-accel-redirect", "x-sendfile"}
    assert not forged & set(answer.headers)


async def test_a_model_name_that_no_header_can_hold_is_percent_encoded(
    portico: Facade, gateway: FakeGateway
) -> None:
    """x-portico-model is ASCII."""
    answered = StreamResponse(served=Served(backend="b", model="模型"))
    gateway.on_stream = [answered, last()]
    answer = await portico.ask("POST", CHAT, ask(stream=True))
    assert answer.headers["x-portico-model"] == "b/%E6%A8%A1%E5%9E%8B"


@pytest.mark.parametrize("sent", ["a" * 129, "tab\tinside", "ümlaut"])
async def test_a_request_id_that_fits_no_log_line_is_replaced(portico: Facade, sent: str) -> None:
    """Printable ASCII, at most 128 characters."""
    answer = await portico.ask("POST", CHAT, ask(), x_request_id=sent)
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_are_logged_at_debug_only(
    portico: Facade, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """Neither the question nor the answer stands in the log of a facade that runs at INFO."""
    caplog.set_level(logging.INFO)
    await portico.ask("POST", CHAT, ask(stream=stream, user="secret-user"))
    assert "secret-user" not in caplog.text
    assert "hello" not in caplog.text
    assert "Hel" not in caplog.text
    caplog.set_level(logging.DEBUG, logger="portico.facade")
    await portico.ask("POST", CHAT, ask(stream=stream, user="secret-user"))
    assert "secret-user" in caplog.text
    assert "Hel" in caplog.text or "hi" in caplog.text
