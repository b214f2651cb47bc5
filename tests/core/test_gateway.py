"""The same cases against the gateway itself and over gRPC: what callers get, and what the receipt says."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from portico.adapter import UpstreamCall
from portico.errors import (
    ErrorClass,
    GatewayError,
    from_upstream,
    upstream_failed,
    upstream_silent,
)
from portico.gateway import CallContext
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletionParams, ResponseFormat
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.gateway_pb2 import ChatRequest, ChatResponse, StreamRequest, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.receipt_pb2 import Outcome, Receipt, Served
from portico_core.config import Timeouts
from portico_core.validate import check_chat
from tests.support import corpus
from tests.support.core import (
    BINDINGS,
    FOREVER,
    USAGE,
    Binding,
    Script,
    Upstream,
    answer,
    ask,
    ask_stream,
    chunk,
    config,
    contents,
    finish,
    params,
    role,
    text,
)

A = Served(backend="a", model="a-model")
B = Served(backend="b", model="b-model")

BUSY = from_upstream(
    429, "slow down", retry_after=7.0, headers=[Header(name="x-ratelimit-limit", value=b"9")]
)
KEY = from_upstream(401, "bad key sk-123")
MISTAKE = from_upstream(400, "temperature is too high", param="temperature")
BROKEN = upstream_failed("The backend broke off.")
SILENT = upstream_silent("The backend was silent.")


@dataclass
class Result:
    """What came of one call."""

    responses: list[Any]
    error: GatewayError | None
    receipt: Receipt | None
    upstreams: Mapping[str, Upstream] = field(compare=False)

    @property
    def tried(self) -> list[tuple[str, str]]:
        """Backend and error class of each attempt, "" where it did not fail."""
        assert self.receipt is not None
        return [
            (each.candidate.backend, ErrorClass(each.error_class).name if each.error_class else "")
            for each in self.receipt.attempts
        ]


@dataclass(frozen=True)
class Case:
    """A call, and what must come of it."""

    request: ChatRequest | StreamRequest
    check: Callable[[Result], None]
    scripts: Mapping[str, Sequence[Script]] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    #: Seconds that the caller waits.
    patience: float | None = None


async def run(case: Case, binding: Binding) -> Result:
    """Make the call of a case."""
    upstreams = {name: Upstream(scripts) for name, scripts in case.scripts.items()}
    context = CallContext("req_1", deadline=time.monotonic() + case.patience if case.patience else None)
    result = Result([], None, None, upstreams)
    async with binding(config(upstreams, timeouts=case.timeouts)) as gateway:
        try:
            if isinstance(case.request, ChatRequest):
                result.responses.append(await gateway.chat(case.request, context))
            else:
                async with contextlib.aclosing(gateway.stream(case.request, context)) as responses:
                    async for response in responses:
                        result.responses.append(response)
        except GatewayError as error:
            result.error = error
        for upstream in upstreams.values():
            await upstream.released()
    result.receipt = context.receipt
    return result


def comparable(result: Result) -> Any:
    """Return what must be equal however the gateway is reached."""
    error, receipt = result.error, Receipt()
    if result.receipt is not None:
        receipt.CopyFrom(result.receipt)
    receipt.duration_ms = 0
    if receipt.HasField("first_content_ms"):
        receipt.first_content_ms = 0
    for attempt in receipt.attempts:
        attempt.started_ms = attempt.duration_ms = 0
    told = None
    if error is not None:
        # Class and detail of our own faults stay in the core.
        told = (
            error.error_class, error.http_status, error.message, error.type, error.code, error.param,
            error.retry_after, list(error.headers),
        )  # fmt: skip
    return result.responses, told, receipt


# --- whole answers


def answered(by: Served, attempts: Sequence[tuple[str, str]]) -> Callable[[Result], None]:
    def check(result: Result) -> None:
        assert result.error is None
        (response,) = result.responses
        assert isinstance(response, ChatResponse)
        assert response.completion.model == "m"
        assert response.completion.id == "c"
        assert response.completion.choices[0].message.content == "hello"
        assert response.served == by
        assert result.tried == attempts
        assert result.receipt is not None
        assert result.receipt.request_id == "req_1"
        assert result.receipt.requested_model == "m"
        assert result.receipt.outcome == Outcome.OUTCOME_OK
        assert result.receipt.served == by
        assert result.receipt.usage == USAGE
        assert 0 <= result.receipt.first_content_ms <= result.receipt.duration_ms

    return check


def failed(
    status: int, code: str | None, attempts: Sequence[tuple[str, str]] = ()
) -> Callable[[Result], None]:
    def check(result: Result) -> None:
        assert result.error is not None
        assert (result.error.http_status, result.error.code) == (status, code)
        assert result.receipt is not None
        assert result.receipt.outcome == Outcome.OUTCOME_ERROR
        assert result.tried == list(attempts)

    return check


def refused(param: str) -> Callable[[Result], None]:
    def check(result: Result) -> None:
        failed(400, None)(result)
        assert result.error is not None
        assert result.error.param == param
        assert result.responses == []
        assert all(not upstream.calls for upstream in result.upstreams.values())

    return check


def cancel_itself(_call: UpstreamCall) -> None:
    """Raise what a library's own task may leave behind, though nobody cancelled the call."""
    raise asyncio.CancelledError


CHAT = {
    "an answer": Case(ask(), answered(A, [("a", "")]), {"a": [[answer()]]}),
    "the first candidate's answer, the second one is not asked": Case(
        ask(), answered(A, [("a", "")]), {"a": [[answer()]], "b": [[BROKEN]]}
    ),
    "the second candidate answers after the first broke off": Case(
        ask(), answered(B, [("a", "UPSTREAM"), ("b", "")]), {"a": [[BROKEN]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first was busy": Case(
        ask(), answered(B, [("a", "CAPACITY"), ("b", "")]), {"a": [[BUSY]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first refused our key": Case(
        ask(), answered(B, [("a", "CREDENTIAL"), ("b", "")]), {"a": [[KEY]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first one's adapter crashed": Case(
        ask(), answered(B, [("a", "GATEWAY"), ("b", "")]), {"a": [[KeyError("oops")]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first one's adapter cancelled itself": Case(
        ask(), answered(B, [("a", "GATEWAY"), ("b", "")]), {"a": [[cancel_itself]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first was silent": Case(
        ask(),
        answered(B, [("a", "UPSTREAM"), ("b", "")]),
        {"a": [[FOREVER]], "b": [[answer()]]},
        Timeouts(silence=0.05),
    ),
    "the second candidate answers after the first said nothing": Case(
        ask(), answered(B, [("a", "UPSTREAM"), ("b", "")]), {"a": [[ChatResponse()]], "b": [[answer()]]}
    ),
    "a message without finish_reason is an answer": Case(
        ask(), answered(A, [("a", "")]), {"a": [[answer(finish_reason=None)]]}
    ),
    "the caller's mistake is not tried again": Case(
        ask(), failed(400, None, [("a", "CALLER")]), {"a": [[MISTAKE]], "b": [[answer()]]}
    ),
    "when all fail the last error is told": Case(
        ask(),
        failed(429, "rate_limit_exceeded", [("a", "UPSTREAM"), ("b", "CAPACITY")]),
        {"a": [[BROKEN]], "b": [[BUSY]]},
    ),
    "our own key's troubles stay ours": Case(
        ask(), failed(502, "upstream_credentials", [("a", "CREDENTIAL")]), {"a": [[KEY]]}
    ),
    "a crash is told as an internal error": Case(
        ask(), failed(500, "internal_error", [("a", "GATEWAY")]), {"a": [[KeyError("secret")]]}
    ),
    "the total limit ends the call and tries nobody else": Case(
        ask(),
        failed(504, "upstream_timeout", [("a", "UPSTREAM")]),
        {"a": [[FOREVER]], "b": [[answer()]]},
        Timeouts(total=0.05),
    ),
}

# --- streams


def streamed(
    by: Served, attempts: Sequence[tuple[str, str]], sizes: Sequence[int], said: str = "Hello!"
) -> Callable[[Result], None]:
    """``sizes``: chunks in each message."""

    def check(result: Result) -> None:
        assert result.error is None
        first, *more = result.responses
        assert first.header.model == "m"
        assert first.served == by
        assert not any(each.HasField("served") for each in more)
        assert [len(each.chunks) for each in result.responses] == sizes
        assert contents(result.responses) == said
        assert result.tried == attempts
        assert result.receipt is not None
        assert result.receipt.outcome == Outcome.OUTCOME_OK
        assert result.receipt.usage == USAGE
        assert 0 <= result.receipt.first_content_ms <= result.receipt.duration_ms

    return check


def broke_off(
    status: int, code: str, attempts: Sequence[tuple[str, str]], said: str
) -> Callable[[Result], None]:
    def check(result: Result) -> None:
        failed(status, code, attempts)(result)
        assert contents(result.responses) == said
        assert result.receipt is not None
        assert result.receipt.served == A

    return check


WHOLE = [role(), text("Hel", "lo"), text("!"), finish()]
NEW_HEADER = StreamResponse(
    header=ChunkHeader(id="c", model="another", system_fingerprint="f"), chunks=[chunk(content="!")]
)

STREAM = {
    "a stream, whose role waits for the first content": Case(
        ask_stream(), streamed(A, [("a", "")], [3, 1, 2]), {"a": [WHOLE]}
    ),
    "empty frames are held until the first content": Case(
        ask_stream(),
        streamed(A, [("a", "")], [4, 1, 2]),
        {"a": [[role(), StreamResponse(chunks=[ChatChunk()]), *WHOLE[1:]]]},
    ),
    "a changed header starts a new message and has the name that was asked for": Case(
        ask_stream(),
        streamed(A, [("a", "")], [3, 1, 2]),
        {"a": [[role(), text("Hel", "lo"), NEW_HEADER, finish()]]},
    ),
    "a stream without a header gets one": Case(
        ask_stream(), streamed(A, [("a", "")], [2, 1, 2]), {"a": [[text("Hel", "lo"), text("!"), finish()]]}
    ),
    "a finish_reason alone is content": Case(
        ask_stream(), streamed(A, [("a", "")], [3], said=""), {"a": [[role(), finish()]], "b": [[BROKEN]]}
    ),
    "the second candidate streams after the first broke off before its content": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM"), ("b", "")], [3, 1, 2]),
        {"a": [[role(), BROKEN]], "b": [WHOLE]},
    ),
    "the second candidate streams after the first ended before its content": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM"), ("b", "")], [3, 1, 2]),
        {"a": [[role()]], "b": [WHOLE]},
    ),
    "the second candidate streams after the first was silent behind its role": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM"), ("b", "")], [3, 1, 2]),
        {"a": [[role(), FOREVER]], "b": [WHOLE]},
        Timeouts(silence=0.05),
    ),
    "the second candidate streams after the first was alive but brought no content in time": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM"), ("b", "")], [3, 1, 2]),
        {"a": [[role(), FOREVER]], "b": [WHOLE]},
        Timeouts(first_content=0.05),
    ),
    "nothing takes over after the first content": Case(
        ask_stream(),
        broke_off(502, "upstream_error", [("a", "UPSTREAM")], "Hello"),
        {"a": [[*WHOLE[:2], BROKEN]], "b": [WHOLE]},
    ),
    "silence after the first content is an error": Case(
        ask_stream(),
        broke_off(504, "upstream_timeout", [("a", "UPSTREAM")], "Hello"),
        {"a": [[*WHOLE[:2], FOREVER]], "b": [WHOLE]},
        Timeouts(silence=0.05),
    ),
    "an end without finish_reason is an error": Case(
        ask_stream(),
        broke_off(502, "upstream_error", [("a", "UPSTREAM")], "Hello!"),
        {"a": [WHOLE[:3]], "b": [WHOLE]},
    ),
    "an end while one of two choices is unfinished is an error": Case(
        ask_stream(n=2),
        broke_off(502, "upstream_error", [("a", "UPSTREAM")], "Hello"),
        {"a": [[*WHOLE[:2], StreamResponse(chunks=[chunk(index=1, content="")]), finish()]], "b": [WHOLE]},
    ),
    "an error after the last finish_reason takes nothing from the answer": Case(
        ask_stream(), streamed(A, [("a", "")], [3, 1, 2]), {"a": [[*WHOLE, BROKEN]]}
    ),
    "silence after the last finish_reason takes nothing from the answer": Case(
        ask_stream(),
        streamed(A, [("a", "")], [3, 1, 2]),
        {"a": [[*WHOLE, FOREVER]]},
        Timeouts(silence=0.05),
    ),
    "the caller's mistake ends a stream before it begins": Case(
        ask_stream(), failed(400, None, [("a", "CALLER")]), {"a": [[MISTAKE]], "b": [WHOLE]}
    ),
    "when all streams fail the last error is told": Case(
        ask_stream(),
        failed(504, "upstream_timeout", [("a", "CAPACITY"), ("b", "UPSTREAM")]),
        {"a": [[BUSY]], "b": [[SILENT]]},
    ),
    "an adapter that cancels itself in mid-stream is told as an internal error": Case(
        ask_stream(),
        broke_off(500, "internal_error", [("a", "GATEWAY")], "Hello"),
        {"a": [[*WHOLE[:2], cancel_itself]]},
    ),
    "a crash in mid-stream is told as an internal error": Case(
        ask_stream(),
        broke_off(500, "internal_error", [("a", "GATEWAY")], "Hello"),
        {"a": [[*WHOLE[:2], KeyError("secret")]]},
    ),
}

# --- what is refused before anything is sent


def hiding(**members: Any) -> ChatRequest:
    request = ask()
    request.params.MergeFrom(ChatCompletionParams(**members))
    return request


PARTS = [ContentPart(type="text"), ContentPart(extra_json='{"text": 1}')]

REFUSED = {
    "no model": Case(ChatRequest(params=params(model="")), refused("model"), {"a": [[answer()]]}),
    "no messages": Case(
        ChatRequest(params=ChatCompletionParams(model="m")), refused("messages"), {"a": [[answer()]]}
    ),
    "a message without a role": Case(
        hiding(messages=[ChatMessage(content="x")]), refused("messages[1].role")
    ),
    "a stream without messages": Case(
        StreamRequest(params=ChatCompletionParams(model="m")), refused("messages"), {"a": [WHOLE]}
    ),
    "a field hidden in extra_json": Case(
        hiding(extra_json='{"x": 1, "temperature": 3}'), refused("temperature")
    ),
    "a field hidden behind an escape": Case(hiding(extra_json=r'{"mod\u0065l": "x"}'), refused("model")),
    "stream hidden in extra_json": Case(hiding(extra_json='{"stream": true}'), refused("stream")),
    "a field whose JSON has another name": Case(
        hiding(messages=[ChatMessage(role="user", extra_json='{"content": []}')]),
        refused("messages[1].content"),
    ),
    "a field hidden in a part of a message": Case(
        hiding(
            messages=[
                ChatMessage(
                    role="user",
                    content_parts=[ContentPart(type="text"), ContentPart(extra_json='{"text":1}')],
                )
            ]
        ),
        refused("messages[1].content[1].text"),
    ),
    "a field hidden in the response format": Case(
        hiding(response_format=ResponseFormat(extra_json='{"json_schema": {}}')),
        refused("response_format.json_schema"),
    ),
    "extra_json that is no object": Case(hiding(extra_json="[1]"), refused("extra_json")),
    "extra_json that is no JSON": Case(hiding(extra_json='{"a": 1'), refused("extra_json")),
    "extra_json that is nested without end": Case(
        hiding(extra_json='{"a":' + "[" * 100_000 + "]" * 100_000 + "}"), refused("extra_json")
    ),
    "a model that nobody has": Case(ask("nope"), failed(404, "model_not_found"), {"a": [[answer()]]}),
    "headers without end": Case(
        ChatRequest(params=params(), headers=[Header(name="x", value=b"y" * 33_000)]),
        failed(431, "headers_too_large"),
        {"a": [[answer()]]},
    ),
}


@pytest.mark.parametrize("name", [*CHAT, *STREAM, *REFUSED])
async def test_both_bindings_give_the_same(name: str) -> None:
    """Answer, error and receipt are right, and equal directly and over gRPC."""
    case = (CHAT | STREAM | REFUSED)[name]
    results = {how: await run(case, binding) for how, binding in BINDINGS.items()}
    for result in results.values():
        case.check(result)
    assert comparable(results["direct"]) == comparable(results["grpc"])


@corpus.parametrize(lambda case: case.path.endswith("/chat/completions") and "model" in (case.request or {}))
def test_what_real_clients_send_is_valid(case: corpus.Case) -> None:
    """No recorded request is refused for what the dialect put into extra_json."""
    parsed, _ = parse_chat(json.dumps(case.request).encode())
    check_chat(parsed)
