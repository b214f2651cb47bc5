"""What holds for the chunks of every stream."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.openai.chunks import ChunkParser, ChunkRenderer, TextChunkParser, TextChunkRenderer
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.completions_pb2 import TextChoice, TextCompletion
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from tests.proto.openai.meaning import CHUNK, HEADER, TEXT, bare, streamed
from tests.proto.openai.strategies import JSON, anything, known_members, objects

thorough = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

# Indexes and roles make sense here: the renderer acts on them. All else is right, null or odd.
indexes: JSON = st.sampled_from([{}, {"index": 0}, {"index": 0.0}, {"index": 1}])
roles: JSON = st.sampled_from([{}, {}, {"role": "assistant"}, {"role": "tool"}, {"role": None}])


def without(value: dict[str, Any], *members: str) -> dict[str, Any]:
    return {member: each for member, each in value.items() if member not in members}


plain_deltas: JSON = st.fixed_dictionaries({"content": st.text(max_size=4)})
odd_deltas: JSON = st.builds(
    lambda delta, role: without(delta, "role") | role, objects(Delta.DESCRIPTOR, True), roles
)
plain_choices: JSON = st.builds(lambda delta, index: index | {"delta": delta}, plain_deltas, indexes)
odd_choices: JSON = st.builds(
    lambda choice, index, delta: without(choice, "index", "delta") | index | {"delta": delta},
    objects(ChunkChoice.DESCRIPTOR, True),
    indexes,
    odd_deltas,
)
usages: JSON = st.sampled_from([{}, {}, {"usage": None}, {"usage": {"total_tokens": 3, "x": 1}}])
plain_chunks: JSON = st.fixed_dictionaries(
    {"choices": st.lists(plain_choices, min_size=1, max_size=1)},
    optional={"obfuscation": st.text(max_size=4)},
)
odd_chunks: JSON = st.builds(
    lambda chunk, choices, usage: without(chunk, "choices", "usage", *HEADER) | {"choices": choices} | usage,
    objects(ChatChunk.DESCRIPTOR, True),
    st.lists(odd_choices | plain_choices, max_size=2),
    usages,
)
# A chunk is what two messages hold: neither has the other's members where it has unknown ones.
heads: JSON = objects(ChunkHeader.DESCRIPTOR).map(
    lambda head: without(head, *known_members(ChatChunk.DESCRIPTOR))
)
streams: JSON = st.tuples(heads, heads).flatmap(
    lambda two: st.lists(
        st.builds(lambda head, chunk: head | chunk, st.sampled_from(two), plain_chunks | odd_chunks),
        max_size=6,
    )
)


@thorough
@given(streams, st.booleans(), st.integers(1, 3))
def test_a_stream_comes_out_as_it_went_in(
    stream: list[dict[str, Any]], include_usage: bool, together: int
) -> None:
    """Each event means the same, whichever chunks travel together, and over the wire between."""
    messages = sent(stream, together, ChunkParser(), StreamResponse)
    compare(messages, stream, ChunkRenderer(include_usage=include_usage), include_usage, CHUNK)


text_chunks: JSON = st.builds(
    lambda chunk, choices, usage: without(chunk, "choices", "usage", *HEADER) | {"choices": choices} | usage,
    objects(TextCompletion.DESCRIPTOR, True),
    st.lists(
        st.builds(
            lambda choice, index: without(choice, "index") | index,
            objects(TextChoice.DESCRIPTOR, True),
            indexes,
        ),
        max_size=2,
    ),
    usages,
)
text_heads: JSON = objects(ChunkHeader.DESCRIPTOR).map(
    lambda head: without(head, *(known_members(TextCompletion.DESCRIPTOR) - set(HEADER)))
)
texts: JSON = st.tuples(text_heads, text_heads).flatmap(
    lambda two: st.lists(
        st.builds(lambda head, chunk: head | chunk, st.sampled_from(two), text_chunks), max_size=6
    )
)


@thorough
@given(texts, st.booleans(), st.integers(1, 3))
def test_a_streamed_text_comes_out_as_it_went_in(
    stream: list[dict[str, Any]], include_usage: bool, together: int
) -> None:
    """By the same rules."""
    messages = sent(stream, together, TextChunkParser(), StreamCompleteResponse)
    compare(messages, stream, TextChunkRenderer(include_usage=include_usage), include_usage, TEXT)


def compare(
    messages: list[Any], stream: list[dict[str, Any]], renderer: Any, include_usage: bool, kind: str
) -> None:
    told = b"".join(map(renderer.render, messages)) + renderer.finish()
    *events, done, end = told.decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    read = [bare(json.loads(event.removeprefix("data: "))) for event in events]
    assert read == streamed(stream, include_usage=include_usage, kind=kind)
    assert all(("usage" in json.loads(event.removeprefix("data: "))) is include_usage for event in events)


def sent(stream: list[dict[str, Any]], together: int, parser: Any, message: Any) -> list[Any]:
    """Return the messages of a stream as they arrive, ``together`` chunks in each at most."""
    responses = [message()]
    for chunk in stream:
        data = json.dumps(chunk).encode()
        if len(responses[-1].chunks) == together or not parser.parse(data, responses[-1]):
            responses.append(message())
            assert parser.parse(data, responses[-1])
    return [message.FromString(response.SerializeToString()) for response in responses]


@thorough
@given(st.binary(max_size=20) | anything.map(lambda value: json.dumps(value).encode()))
def test_an_event_is_read_or_no_json_object(data: bytes) -> None:
    """Any other exception than ValueError would be a fault of ours."""
    into = StreamResponse()
    try:
        assert ChunkParser().parse(data, into)
    except ValueError:
        assert into == StreamResponse()
    else:
        assert isinstance(json.loads(data), dict)
