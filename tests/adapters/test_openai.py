"""The adapter for OpenAI's dialect: what it sends, and what it makes of servers' oddities."""

import json
from dataclasses import replace
from typing import Any

import pytest

import portico
from portico.adapter import Adapter, CompletionCall, Limits
from portico.config import ConfigError, fill, parse
from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.secret import Secret
from portico.testing.contract import messages_of
from portico.testing.wire import HANG, answer, chunk, head, streamed
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters.openai import OpenAISettings
from tests.adapters.openai_tools import CALL, WIRE, backend

TEXT, ANSWER = (WIRE / "text.txt").read_bytes(), (WIRE / "text.json").read_bytes()
LIMITS = [("x-ratelimit-remaining-tokens", "7"), ("retry-after-ms", "20"), ("openai-processing-ms", "3")]


async def test_the_backend_sees_our_key_and_the_request_id_and_nothing_of_the_caller() -> None:
    """The caller's headers stay here; the model has the backend's name."""
    async with backend(answer(ANSWER), key="ours", headers={"OpenAI-Organization": "o"}) as (
        adapter,
        upstream,
    ):
        await adapter.chat(CALL)
        request = upstream.requests[0]
        assert (request.method, request.path) == ("POST", "/v1/chat/completions")
        assert request.json() == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
        assert {**request.headers, "host": "", "content-length": ""} == {
            "host": "",
            "content-length": "",
            "accept": "application/json",
            "accept-encoding": "identity",
            "authorization": "Bearer ours",
            "content-type": "application/json",
            "openai-organization": "o",
            "user-agent": f"portico/{portico.__version__}",
            "x-portico-hops": "1",
            "x-request-id": "req-1",
        }


async def test_a_stream_is_asked_for_with_its_usage() -> None:
    """Whether or not the caller wants to see it. Without a key none is sent."""
    async with backend(streamed(TEXT)) as (adapter, upstream):
        await messages_of(adapter, CALL)
        request = upstream.requests[0]
        assert request.json()["stream"] is True
        assert request.json()["stream_options"] == {"include_usage": True}
        assert request.headers["accept"] == "text/event-stream"
        assert "authorization" not in request.headers


@pytest.mark.parametrize("request_id", ["a\r\nx-evil: 1", "ä", "\t"])
async def test_a_request_id_that_no_header_can_hold_is_left_out(request_id: str) -> None:
    """The call goes on without it."""
    async with backend(answer(ANSWER)) as (adapter, upstream):
        await adapter.chat(replace(CALL, request_id=request_id))
        assert "x-request-id" not in upstream.requests[0].headers
        assert "x-evil" not in upstream.requests[0].headers


async def test_the_caller_may_see_the_rate_limits() -> None:
    """On answers, on the first message of a stream, and on errors."""
    error = b'{"error":{"message":"slow down"}}'
    answers = (answer(ANSWER, 200, LIMITS), streamed(TEXT, 200, LIMITS, size=99), answer(error, 429, LIMITS))
    async with backend(*answers) as (adapter, _):
        unstreamed = await adapter.chat(CALL)
        first, *others = await messages_of(adapter, CALL)
        caught = await failure(adapter)
    for shown in (unstreamed.headers, first.headers):
        assert {header.name for header in shown} == {"x-ratelimit-remaining-tokens", "retry-after-ms"}
    assert not any(message.headers for message in others)
    assert [header.name for header in caught.headers] == ["x-ratelimit-remaining-tokens"]
    assert caught.retry_after == 0.02


async def test_models_come_from_the_list() -> None:
    """GET /models; a failure of it is an error as any other."""
    models = b'{"object":"list","data":[{"id":"a","owned_by":"b"},{"id":"c"}]}'
    async with backend(answer(models), answer(b"{}", 500), answer(b"[3]")) as (adapter, upstream):
        assert [model.id for model in await adapter.list_models(())] == ["a", "c"]
        assert (upstream.requests[0].method, upstream.requests[0].path) == ("GET", "/v1/models")
        for _ in range(2):
            with pytest.raises(GatewayError) as caught:
                await adapter.list_models(())
            assert caught.value.error_class is ErrorClass.UPSTREAM


# Body of an answer of status 200 -> what the caller hears of it.
ERRORS_IN_200 = {
    "OpenAI's": (b'{"error":{"message":"No such tool","type":"invalid_request_error"}}', 400, "No such tool"),
    "with a status as code": (b'{"error":{"message":"Slow","code":429}}', 429, "The backend's rate limit"),
    "padded with blanks": (b"\n \n\n" + b'{"error":"broken"}', 502, "The backend failed"),
    "no completion": (b"Hello!", 502, "not what was asked for"),
    "a list": (b"[]", 502, "not what was asked for"),
    "nothing": (b"", 502, "not what was asked for"),
}


@pytest.mark.parametrize(("body", "status", "message"), ERRORS_IN_200.values(), ids=ERRORS_IN_200)
async def test_an_error_in_an_answer_of_status_200_is_one(body: bytes, status: int, message: str) -> None:
    """Unstreamed."""
    async with backend(answer(body)) as (adapter, _):
        error = await failure(adapter)
    assert error.http_status == status
    assert message in error.message


async def test_an_answer_may_be_padded_with_blanks() -> None:
    """Servers send them to keep the connection open."""
    async with backend(streamed(b"\n   \n" * 50 + ANSWER, content_type="application/json", size=64)) as (
        adapter,
        _,
    ):
        assert (await adapter.chat(CALL)).completion.id == "chatcmpl-A1"


# What a server answers to a wish for a stream -> what the caller hears of it.
NO_STREAMS = {
    "an error of JSON": (b'{"error":{"message":"No.","type":"invalid_request_error"}}', 400, "No."),
    "a whole answer to something else": (
        b'{"object":"list","data":[],"choices":[{"text":"x"}]}',
        502,
        "did not answer with a stream",
    ),
    "half an answer": (ANSWER[: len(ANSWER) // 2], 502, "did not answer with a stream"),
    "an answer without choices": (b'{"id":"x","choices":[],"usage":{}}', 502, "did not answer with a stream"),
    "a page": (b"<!DOCTYPE html>\n<title>Welcome</title>", 502, "did not answer with a stream"),
    "comments alone": (b": wait\n\n: wait\n\n", 502, "did not answer with a stream"),
    "nothing": (b"", 502, "did not answer with a stream"),
    "an event of no JSON": (b"data: Hello!\n\n", 502, "an event that is no chunk"),
    "an event that is no object": (b"data: [1]\n\n", 502, "an event that is no chunk"),
    "half an event": (b'data: {"id":"a","cho', 502, "an event that is no chunk"),
}


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/html"])
@pytest.mark.parametrize(("body", "status", "message"), NO_STREAMS.values(), ids=NO_STREAMS)
async def test_what_is_no_stream_is_an_error(
    body: bytes, status: int, message: str, content_type: str
) -> None:
    """Whatever it says that it is: servers are not to be trusted with that."""
    async with backend(streamed(body, content_type=content_type, size=7)) as (adapter, _):
        error = await failure(adapter, stream=True)
    assert error.http_status == status
    assert message in error.message


WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
    "cost": 12345678901234567890123,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hi there",
                "reasoning": "hm",
                "tool_calls": [
                    {"id": f"t{each}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    for each in range(2)
                ],
            },
            "logprobs": {"content": [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]},
            "finish_reason": "tool_calls",
        },
        {"message": {"content": "Ho", "tool_calls": None}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
async def test_a_whole_answer_in_place_of_a_stream_is_streamed(content_type: str) -> None:
    """Some servers do not know ``stream``: roles, messages, ends and usage come in chunks."""
    body = b"\n\n" + json.dumps(WHOLE, indent=1).encode()
    async with backend(streamed(body, content_type=content_type, size=97, headers=LIMITS)) as (adapter, _):
        messages = await messages_of(adapter, CALL)
    renderer = ChunkRenderer(include_usage=True)
    sent = b"".join((*map(renderer.render, messages), renderer.finish())).split(b"\n\n")
    rendered = [json.loads(event.removeprefix(b"data: ")) for event in sent if event.startswith(b"data: {")]
    assert {each["object"] for each in rendered} == {"chat.completion.chunk"}
    assert [[choice["index"] for choice in each["choices"]] for each in rendered] == [[0, 1]] * 3 + [[]]
    assert [choice["delta"] for choice in rendered[0]["choices"]] == [{"role": "assistant"}] * 2
    first, second = rendered[1]["choices"]
    assert first["delta"]["content"] + second["delta"]["content"] == "Hi thereHo"
    assert first["delta"]["reasoning"] == "hm"
    assert [(call["index"], call["id"]) for call in first["delta"]["tool_calls"]] == [(0, "t0"), (1, "t1")]
    assert first["logprobs"]["content"][0]["token"] == "Hi"
    assert [each["finish_reason"] for each in rendered[2]["choices"]] == ["tool_calls", "stop"]
    assert rendered[3]["usage"] == WHOLE["usage"]
    assert rendered[0]["cost"] == WHOLE["cost"]
    assert [header.name for header in messages[0].headers][:1] == ["x-ratelimit-remaining-tokens"]


async def test_a_whole_text_in_place_of_a_stream_is_streamed() -> None:
    """Its choices are those of a chunk."""
    body = {"id": "t", "choices": [{"text": "Hi", "finish_reason": "stop"}], "usage": WHOLE["usage"]}
    asked = CompletionCall(TextCompletionParams(model="m"), "m")
    async with backend(answer(json.dumps(body).encode())) as (adapter, _):
        messages = [message async for message in adapter.stream_complete(asked)]
    chunks = [chunk for message in messages for chunk in message.chunks]
    assert [choice.text for chunk in chunks for choice in chunk.choices] == ["Hi"]
    assert chunks[0].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("value", "is_error"),
    [
        *((each, False) for each in ("null", "false", "0", '""', "[]", "{}")),
        *((each, True) for each in ("true", "7", '"No."', '["No."]', "[0]", '{"message":7}')),
    ],
)
async def test_an_error_of_any_type_is_one_unless_it_says_nothing(
    value: str, is_error: bool, stream: bool
) -> None:
    """As SDKs read it: what is empty is a vendor's way to say that there is none."""
    choices = '[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]'
    chunk = f'{{"choices":{choices},"error":{value}}}'
    whole = chunk.replace("delta", "message")
    script = streamed(f"data: {chunk}\n\n".encode()) if stream else answer(whole.encode())
    async with backend(script) as (adapter, _):
        if is_error:
            assert (await failure(adapter, stream=stream)).http_status == 502
        elif stream:
            assert "".join(map(said, await messages_of(adapter, CALL))) == "x"
        else:
            assert (await adapter.chat(CALL)).completion.choices[0].message.content == "x"


async def test_an_error_in_mid_stream_comes_behind_what_was_sent_before_it() -> None:
    """Even when one read brought both."""
    async with backend(streamed((WIRE / "error_in_stream.txt").read_bytes())) as (adapter, _):
        stream = adapter.stream(CALL)
        assert said(await anext(stream)) == "So far"
        with pytest.raises(GatewayError) as caught:
            await anext(stream)
    assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.UPSTREAM, 502)
    assert caught.value.detail == "The server had an error while processing your request."


async def test_a_header_that_changes_starts_a_new_message() -> None:
    """Each message says what holds for its chunks; within one read too."""
    async with backend(streamed((WIRE / "header_changes.txt").read_bytes())) as (adapter, _):
        messages = await messages_of(adapter, CALL)
    assert [(message.header.system_fingerprint, said(message)) for message in messages] == [
        ("", ""),
        ("fp_1", "One"),
        ("fp_2", " two"),
    ]


async def test_what_follows_done_is_dropped_and_the_connection_kept() -> None:
    """The stream ends with it, though the body does not yet."""
    body = (WIRE / "after_done.txt").read_bytes()
    async with backend(streamed(body), streamed(body, size=50)) as (adapter, upstream):
        for _ in range(2):
            assert "".join(map(said, await messages_of(adapter, CALL))) == "All."
        assert upstream.connections == 1


async def test_a_server_that_does_not_end_after_done_is_not_waited_for() -> None:
    """The stream is over; the connection is given up."""
    async with backend([*streamed(TEXT, end=False), HANG]) as (adapter, upstream):
        assert await messages_of(adapter, CALL)
        await upstream.closed()


async def test_what_one_event_and_one_answer_may_weigh_is_bounded() -> None:
    """So that a server that runs wild costs its own call alone."""
    endless: Any = [head(content_type="text/event-stream"), chunk(b"data: "), *[chunk(b"x" * 100)] * 20, HANG]
    async with backend(endless, answer(b"x" * 1001), limits=Limits(answer_bytes=1000)) as (adapter, upstream):
        for stream, words in ((True, "a larger event"), (False, "a larger answer")):
            error = await failure(adapter, stream=stream)
            assert error.http_status == 502
            assert words in error.message
        await upstream.closed(0)


async def test_no_message_reaches_the_log_by_way_of_an_error() -> None:
    """What cannot be read may still be somebody's words."""
    async with backend(streamed(b"data: my secret\n\n"), answer(b"my secret")) as (adapter, _):
        for stream in (True, False):
            error = await failure(adapter, stream=stream)
            assert error.detail
            assert "secret" not in error.detail + error.message


def test_a_key_does_not_print() -> None:
    """Neither do headers."""
    settings = OpenAISettings("http://a", Secret("key-1"), {"x": Secret("key-2")})
    assert "key-" not in repr(settings)


# Members of a backend in the configuration -> what is said of them.
MISTAKES = {
    "{}": "url is missing",
    "{url: localhost:8080}": "url: expected a URL",
    '{url: "http://a", api_key: "key\\n"}': "api_key: must be printable ASCII",
    '{url: "http://a", headers: {a b: c}}': "headers: a b is no header",
    '{url: "http://a", headers: {Content-Length: "5"}}': "headers: Content-Length is set by the gateway",
    '{url: "http://a", headers: {a: "c\\n"}}': "headers: a is no header, or its value",
}


@pytest.mark.parametrize(("written", "complaint"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_in_the_settings_is_named(written: str, complaint: str) -> None:
    """With the member, and never with a key."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        fill(OpenAISettings, parse(written, "portico.yaml", {}))
    assert "key\n" not in str(caught.value)


async def failure(adapter: Adapter, *, stream: bool = False) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await (messages_of(adapter, CALL) if stream else adapter.chat(CALL))
    return caught.value


def said(message: StreamResponse) -> str:
    return "".join(choice.delta.content for each in message.chunks for choice in each.choices)
