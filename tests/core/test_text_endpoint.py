"""A text completion of a backend without the endpoint: its chat steps in, and the finding is kept."""

import json
from contextlib import aclosing
from typing import Any

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext, Gateway
from portico.testing.upstream import Answerer, Request, Upstream
from portico.testing.wire import Script, answer, streamed
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.gateway_pb2 import CompleteRequest, StreamCompleteRequest
from portico.v1.receipt_pb2 import Outcome
from portico_core import text_endpoint
from tests.core.over_http import over
from tests.support.core import direct

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"

NO_PATH = answer(b'{"detail":"Not Found"}', 404)
NO_POST = answer(b'{"detail":"Method Not Allowed"}', 405)
NO_MODEL = answer(b'{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}', 404)
BUSY = answer(b'{"error":{"message":"slow down"}}', 429)


def body(**choice: Any) -> bytes:
    return json.dumps({"id": "c", "choices": [{"index": 0, "finish_reason": "stop", **choice}]}).encode()


CHATTED = answer(body(message={"role": "assistant", "content": "by chat"}))
COMPLETED = answer(body(text="by text"))
CHAT_STREAM = streamed([b"data: %b\n\n" % body(delta={"content": "by chat"}), b"data: [DONE]\n\n"])


def serving(**scripts: Script) -> Answerer:
    """Return what serves ``text``, ``chat`` and ``stream`` (of a chat)."""

    def choose(request: Request) -> Script:
        if request.path == TEXT:
            return scripts["text"]
        return scripts["stream" if request.json().get("stream") else "chat"]

    return choose


async def ask(gateway: Gateway, prompt: str = "Once", **more: Any) -> str:
    params = TextCompletionParams(model="m", prompt=TextInput(text=prompt), **more)
    response = await gateway.complete(CompleteRequest(params=params), CallContext(""))
    return response.completion.choices[0].text


async def ask_stream(gateway: Gateway, context: CallContext) -> str:
    params = TextCompletionParams(model="m", prompt=TextInput(text="Once"))
    async with aclosing(gateway.stream_complete(StreamCompleteRequest(params=params), context)) as responses:
        found = [response async for response in responses]
    return "".join(choice.text for each in found for chunk in each.chunks for choice in chunk.choices)


def paths(upstream: Upstream) -> list[str]:
    return [request.path for request in upstream.requests]


@pytest.mark.parametrize("missing", [NO_PATH, NO_POST])
async def test_chat_steps_in_and_the_backend_is_not_asked_again(missing: Script) -> None:
    """One request more, the first time; in the receipt it is one attempt."""
    script = serving(text=missing, chat=CHATTED)
    async with Upstream(script) as upstream, direct(over([upstream.url])) as gateway:
        assert [await ask(gateway), await ask(gateway)] == ["by chat", "by chat"]
        assert paths(upstream) == [TEXT, CHAT, CHAT]
        assert upstream.requests[1].json()["messages"] == [{"role": "user", "content": "Once"}]


async def test_chat_steps_in_for_a_stream() -> None:
    """Before its first content, so that nothing is taken back."""
    context = CallContext("")
    script = serving(text=NO_PATH, stream=CHAT_STREAM)
    async with Upstream(script) as upstream, direct(over([upstream.url])) as gateway:
        assert await ask_stream(gateway, context) == "by chat"
        assert await ask_stream(gateway, CallContext("")) == "by chat"
        assert paths(upstream) == [TEXT, CHAT, CHAT]
    assert context.receipt is not None
    assert context.receipt.outcome == Outcome.OUTCOME_OK
    assert len(context.receipt.attempts) == 1


@pytest.mark.parametrize(("refused", "status"), [(NO_MODEL, 404), (BUSY, 429)])
async def test_any_other_refusal_is_the_callers_to_hear(refused: Script, status: int) -> None:
    """A model that is not there, too: chat is not asked, and the endpoint is not given up."""
    script = serving(text=refused)
    async with Upstream(script) as upstream, direct(over([upstream.url])) as gateway:
        for _ in range(2):
            with pytest.raises(GatewayError) as caught:
                await ask(gateway)
            assert caught.value.http_status == status
        with pytest.raises(GatewayError):
            await ask_stream(gateway, CallContext(""))
        assert set(paths(upstream)) == {TEXT}


async def test_a_backend_without_chat_either_is_asked_anew() -> None:
    """Its URL is wrong, or it was starting: what was found says nothing of the endpoint."""
    script = serving(text=NO_PATH, chat=NO_PATH, stream=NO_PATH)
    async with Upstream(script) as upstream, direct(over([upstream.url])) as gateway:
        with pytest.raises(GatewayError) as caught:
            await ask(gateway)
        assert (caught.value.http_status, caught.value.code) == (404, "unknown_url")
        with pytest.raises(GatewayError):
            await ask_stream(gateway, CallContext(""))
        upstream.serve(serving(text=COMPLETED))
        assert await ask(gateway) == "by text"
        assert paths(upstream) == [TEXT, CHAT, TEXT, CHAT, TEXT]


async def test_what_chat_cannot_do_is_refused_by_name() -> None:
    """The first time after the backend was asked, then at once."""
    async with Upstream(serving(text=NO_PATH)) as upstream, direct(over([upstream.url])) as gateway:
        for _ in range(2):
            with pytest.raises(GatewayError, match="no completions endpoint") as caught:
                await ask(gateway, echo=True)
            assert (caught.value.http_status, caught.value.param) == (400, "echo")
        assert paths(upstream) == [TEXT]


async def test_each_backend_is_remembered_for_itself() -> None:
    """One that broke off has the next one's endpoint asked, whatever the first one has."""
    whole, lacking = Upstream(serving(text=COMPLETED)), Upstream(serving(text=NO_PATH, chat=CHATTED))
    async with whole, lacking, direct(over([lacking.url, whole.url])) as gateway:
        assert await ask(gateway) == "by chat"
        lacking.serve(serving(text=BUSY, chat=BUSY))
        assert await ask(gateway) == "by text"
        assert paths(lacking) == [TEXT, CHAT, *[CHAT] * 3]
        assert paths(whole) == [TEXT]


async def test_a_backend_is_asked_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have got the endpoint."""
    now = [1000.0]
    monkeypatch.setattr(text_endpoint, "monotonic", lambda: now[0])
    script = serving(text=NO_PATH, chat=CHATTED)
    async with Upstream(script) as upstream, direct(over([upstream.url])) as gateway:
        assert await ask(gateway) == "by chat"
        upstream.serve(serving(text=COMPLETED, chat=CHATTED))
        now[0] += text_endpoint.REMEMBERED - 1
        assert await ask(gateway) == "by chat"
        now[0] += 2
        assert await ask(gateway) == "by text"
