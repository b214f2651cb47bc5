"""What real servers sent goes through the adapter as it goes through the dialect, however it is cut."""

import pytest

from portico.errors import GatewayError
from portico.openai.chunks import ChunkParser
from portico.openai.errors import parse_error
from portico.openai.responses import parse_completion
from portico.testing.contract import chunks_of, messages_of
from portico.testing.wire import answer, streamed
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.headers_pb2 import Header
from portico_adapters._flavours.answers import ChunkSettler, settle_completion
from tests.adapters.openai_tools import CALL, backend
from tests.support.corpus import Case, parametrize

SIZES = pytest.mark.parametrize("size", [None, 64, 1], ids=["whole", "64 bytes", "1 byte"])

# Headers that say something of an error; some of the others belong to another body than this.
_KEPT = ("retry-after", "x-ratelimit-")


def _is_chat(case: Case) -> bool:
    return case.path.split("?")[0].endswith("/chat/completions")


@SIZES
@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream is None)
async def test_an_answer_says_what_the_dialect_makes_of_it(case: Case, size: int | None) -> None:
    """Unstreamed."""
    async with backend(answer(case.body, size=size)) as (adapter, _):
        assert (await adapter.chat(CALL)).completion == settle_completion(parse_completion(case.body), "r")


@SIZES
@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream == "sse")
async def test_a_stream_says_what_the_dialect_makes_of_its_events(case: Case, size: int | None) -> None:
    """Every chunk, in order, under the right header."""
    async with backend(streamed(case.body, size=size)) as (adapter, upstream):
        assert chunks_of(await messages_of(adapter, CALL)) == _expected(case.body)
        assert upstream.open_connections == 1, "the body was not read to its end"


@parametrize(lambda case: _is_chat(case) and case.status >= 400)
async def test_an_error_is_what_the_dialect_makes_of_it(case: Case) -> None:
    """Of a class, with its status, unstreamed and streamed."""
    kept = [(name, value) for name, value in case.headers.items() if name.lower().startswith(_KEPT)]
    headers = [Header(name=name.lower(), value=value.encode()) for name, value in kept]
    expected = parse_error(case.status, case.body, headers)
    async with backend(answer(case.body, case.status, kept)) as (adapter, _):
        for call in (adapter.chat(CALL), messages_of(adapter, CALL)):
            with pytest.raises(GatewayError) as caught:
                await call
            assert vars(caught.value) == vars(expected)


def _expected(body: bytes) -> list[tuple[ChunkHeader, ChatChunk]]:
    """Return the chunks of a recorded stream, parsed one by one."""
    parser, header, found = ChunkParser(ChunkSettler("r").settle), ChunkHeader(), []
    for line in body.splitlines():
        if line.startswith(b"data:") and line != b"data: [DONE]":
            message = StreamResponse()
            assert parser.parse(line[5:], message)
            header = message.header if message.HasField("header") else header
            found.append((header, message.chunks[0]))
    return found
