"""Streamed calls: what is held, who takes over, and when a stream is an error."""

from collections.abc import Sequence

import pytest

from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.receipt_pb2 import Outcome, Served
from portico_core.config import Timeouts
from tests.core.cases import (
    BROKEN,
    BUSY,
    MISTAKE,
    SILENT,
    A,
    B,
    Case,
    Check,
    Result,
    cancel_itself,
    failed,
    give_the_same,
)
from tests.support.core import FOREVER, USAGE, ask_stream, chunk, contents, finish, role, text


def streamed(
    by: Served, attempts: Sequence[tuple[str, str]], sizes: Sequence[int], said: str = "Hello!"
) -> Check:
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


def broke_off(status: int, code: str, attempts: Sequence[tuple[str, str]], said: str) -> Check:
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
        streamed(B, [("a", "UPSTREAM")] * 2 + [("b", "")], [3, 1, 2]),
        {"a": [[role(), BROKEN]], "b": [WHOLE]},
    ),
    "the second candidate streams after the first ended before its content": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM")] * 2 + [("b", "")], [3, 1, 2]),
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
    "the first content has as long as a whole answer, where nothing else is configured": Case(
        ask_stream(),
        streamed(B, [("a", "UPSTREAM"), ("b", "")], [3, 1, 2]),
        {"a": [[role(), FOREVER]], "b": [WHOLE]},
        Timeouts(total=0.05),
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


@pytest.mark.parametrize("name", STREAM)
async def test_streamed_calls(name: str) -> None:
    """Messages, error and receipt are right, and equal directly and over gRPC."""
    await give_the_same(STREAM[name])
