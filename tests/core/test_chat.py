"""Unstreamed calls: who answers, who takes over, and what is told when nobody can."""

from collections.abc import Sequence

import pytest

from portico.gateway import CallContext
from portico.v1.gateway_pb2 import ChatResponse
from portico.v1.receipt_pb2 import Outcome, Served
from portico_core.config import Timeouts
from tests.core.cases import (
    BROKEN,
    BUSY,
    CALLERS_KEY,
    KEY,
    MISTAKE,
    A,
    B,
    Case,
    Check,
    Result,
    cancel_itself,
    failed,
    give_the_same,
)
from tests.support.core import BINDINGS, FOREVER, USAGE, Upstream, answer, ask, config


def answered(by: Served, attempts: Sequence[tuple[str, str]]) -> Check:
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


CHAT = {
    "an answer": Case(ask(), answered(A, [("a", "")]), {"a": [[answer()]]}),
    "the first candidate's answer, the second one is not asked": Case(
        ask(), answered(A, [("a", "")]), {"a": [[answer()]], "b": [[BROKEN]]}
    ),
    "the second candidate answers after the first broke off": Case(
        ask(), answered(B, [("a", "UPSTREAM")] * 2 + [("b", "")]), {"a": [[BROKEN]], "b": [[answer()]]}
    ),
    "the first candidate answers when it is asked again": Case(
        ask(), answered(A, [("a", "UPSTREAM"), ("a", "")]), {"a": [[BROKEN], [answer()]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first was busy": Case(
        ask(), answered(B, [("a", "CAPACITY"), ("b", "")]), {"a": [[BUSY]], "b": [[answer()]]}
    ),
    "the second candidate answers after the first refused our key": Case(
        ask(), answered(B, [("a", "CREDENTIAL"), ("b", "")]), {"a": [[KEY]], "b": [[answer()]]}
    ),
    "a key of the caller's own that is refused does not get him an answer at our cost": Case(
        ask(),
        failed(401, "invalid_api_key", [("a", "CREDENTIAL")]),
        {"a": [[CALLERS_KEY]], "b": [[answer()]]},
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
        ask(),
        answered(B, [("a", "UPSTREAM")] * 2 + [("b", "")]),
        {"a": [[ChatResponse()]], "b": [[answer()]]},
    ),
    "a message without finish_reason is an answer": Case(
        ask(), answered(A, [("a", "")]), {"a": [[answer(finish_reason=None)]]}
    ),
    "the caller's mistake is not tried again": Case(
        ask(), failed(400, None, [("a", "CALLER")]), {"a": [[MISTAKE]], "b": [[answer()]]}
    ),
    "when all fail the last error is told": Case(
        ask(),
        failed(429, "rate_limit_exceeded", [("a", "UPSTREAM")] * 2 + [("b", "CAPACITY")]),
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


@pytest.mark.parametrize("name", CHAT)
async def test_unstreamed_calls(name: str) -> None:
    """Answer, error and receipt are right, and equal directly and over gRPC."""
    await give_the_same(CHAT[name])


@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_callers_trace_reaches_every_attempt(binding: str) -> None:
    """Adapters send it on."""
    upstream = Upstream([[BROKEN], [answer()]])
    async with BINDINGS[binding](config({"a": upstream}, models={"m": ["a/x", "a/y"]})) as gateway:
        await gateway.chat(ask(), CallContext("req_1", traceparent="00-1-2-01"))
    assert [each.traceparent for each in upstream.calls] == ["00-1-2-01"] * 2
