"""Calls that must come to the same end whether the gateway is called directly or over gRPC."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError, from_upstream, upstream_failed, upstream_silent
from portico.gateway import CallContext
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Outcome, Receipt, Served
from portico_core.config import Timeouts
from tests.support.core import BINDINGS, Binding, Script, Upstream, config

A = Served(backend="a", model="a-model")
B = Served(backend="b", model="b-model")

BUSY = from_upstream(
    429, "slow down", retry_after=7.0, headers=[Header(name="x-ratelimit-limit", value=b"9")]
)
KEY = from_upstream(401, "bad key sk-123")
CALLERS_KEY = from_upstream(401, "bad key sk-456", callers_key=True)
MISTAKE = from_upstream(400, "temperature is too high", param="temperature")
BROKEN = upstream_failed("The backend broke off.")
SILENT = upstream_silent("The backend was silent.")


def cancel_itself(_call: UpstreamCall) -> None:
    """Raise what a library's own task may leave behind, though nobody cancelled the call."""
    raise asyncio.CancelledError


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


async def run(case: Case, binding: Binding) -> Result:
    """Make the call of a case."""
    upstreams = {name: Upstream(scripts) for name, scripts in case.scripts.items()}
    context = CallContext("req_1")
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
    for response in result.responses:
        # What the gateway made up.
        if isinstance(response, StreamResponse) and response.header.id.startswith("chatcmpl-"):
            response.header.id = ""
        if isinstance(response, StreamResponse) and abs(response.header.created - time.time()) < 60:
            response.header.created = 0
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


async def give_the_same(case: Case) -> None:
    """Make the call of a case in every way; all results must be right, and equal."""
    results = {how: await run(case, binding) for how, binding in BINDINGS.items()}
    for result in results.values():
        case.check(result)
    first, *others = map(comparable, results.values())
    for other in others:
        assert other == first


Check: TypeAlias = Callable[[Result], None]


def failed(status: int, code: str | None, attempts: Sequence[tuple[str, str]] = ()) -> Check:
    def check(result: Result) -> None:
        assert result.error is not None
        assert (result.error.http_status, result.error.code) == (status, code)
        assert result.receipt is not None
        assert result.receipt.outcome == Outcome.OUTCOME_ERROR
        assert result.tried == list(attempts)

    return check
