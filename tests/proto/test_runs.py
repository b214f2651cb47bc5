"""Runs of text are found where they are, and nothing beside a text is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.runs import LONGEST, RunReader, run
from portico.v1.chat_pb2 import ChoiceLogprobs
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Served
from portico.v1.tools_pb2 import ToolCallDelta
from portico.v1.usage_pb2 import Usage

TEXTS = st.one_of(st.text(max_size=4), st.integers(0, 2 * LONGEST).map("x".__mul__))


def plain(text: str) -> ChatChunk:
    return ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content=text))])


# Each has something that a piece of the first choice's text has not, or lacks something.
OTHERS = [
    ChatChunk(),
    ChatChunk(choices=[ChunkChoice(index=0)]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta())]),
    ChatChunk(choices=[ChunkChoice(delta=Delta(content="x"))]),
    ChatChunk(choices=[ChunkChoice(index=1, delta=Delta(content="x"))]),
    ChatChunk(choices=[ChunkChoice(index=300, delta=Delta(content="x"))]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"), finish_reason="stop")]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"), logprobs=ChoiceLogprobs())]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"), extra_json="{}")]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x", role="user"))]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x", extra_json="{}"))]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(reasoning="x"))]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(tool_calls=[ToolCallDelta(index=0)]))]),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"))] * 2),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"))], usage=Usage()),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"))], obfuscation="ab"),
    ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="x"))], extra_json="{}"),
]
BESIDE = [
    StreamResponse(header=ChunkHeader(id="x")),
    StreamResponse(served=Served(backend="x")),
    StreamResponse(headers=[Header(name="x")]),
]


@given(st.lists(TEXTS), st.lists(st.sampled_from(OTHERS), max_size=2), st.lists(TEXTS))
def test_the_run_that_a_message_begins_with_is_found(
    begin: list[str], others: list[ChatChunk], end: list[str]
) -> None:
    """Up to the first chunk that is more than a text, or a longer one."""
    message = StreamResponse(chunks=[*map(plain, begin), *others, *map(plain, end)])
    texts, more = RunReader().texts(message)
    expected = [text.encode() for text in (begin if others else begin + end)]
    long = next((at for at, text in enumerate(expected) if len(text) > LONGEST), len(expected))
    assert texts == expected[:long]
    assert more is (len(message.chunks) > long)


@given(st.lists(TEXTS.filter(lambda text: len(text.encode()) <= LONGEST)))
def test_the_bytes_of_a_run_are_those_of_its_message(texts: list[str]) -> None:
    """As its fields would be written."""
    expected = StreamResponse(chunks=list(map(plain, texts)))
    assert run([text.encode() for text in texts]) == expected.SerializeToString()


@pytest.mark.parametrize("beside", BESIDE)
def test_what_stands_beside_the_chunks_is_more(beside: StreamResponse) -> None:
    """In front of a run it hides the run, behind it it does not."""
    message = StreamResponse(chunks=[plain("x")])
    message.MergeFrom(beside)
    texts, more = RunReader().texts(message)
    assert texts == ([] if beside.HasField("header") else [b"x"])
    assert more


def test_a_stream_that_begins_with_something_else_comes_to_its_runs() -> None:
    """A model that has thought for long speaks at last."""
    reader = RunReader()
    for _ in range(1000):
        texts, more = reader.texts(StreamResponse(chunks=[OTHERS[-1]]))
        assert more
        assert not texts
    found = [reader.texts(StreamResponse(chunks=[plain("x")]))[0] for _ in range(20)]
    assert [b"x"] in found[:10]
    assert all(found[10:])
