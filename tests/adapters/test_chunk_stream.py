"""How the events of each read are dealt out to messages."""

import pytest

from portico.errors import GatewayError
from portico.openai.chunks import ChunkParser
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._chunk_stream import ChunkStream


def stream() -> ChunkStream[StreamResponse]:
    return ChunkStream(StreamResponse, ChunkParser(), 1024, lambda _: [])


def read(*texts: str) -> bytes:
    form = '{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}'
    return b"".join(b"data: %b\n\n" % (form % text).encode() for text in texts)


def said(message: StreamResponse) -> str:
    return "".join(chunk.choices[0].delta.content for chunk in message.chunks)


def test_the_first_token_waits_for_no_other() -> None:
    """However many its read brought, and if a role came before; later reads make one message each."""
    chunks = stream()
    assert list(map(said, chunks.feed(read(*"abcdefghij")))) == ["abc", "defghij"]
    assert list(map(said, chunks.feed(read(*"klmnopqrst")))) == ["klmnopqrst"]
    chunks = stream()
    assert list(map(said, chunks.feed(read("a")))) == ["a"]
    assert list(map(said, chunks.feed(read(*"bcdefghij")))) == ["bc", "defghij"]
    assert list(map(said, chunks.feed(read(*"klmnopqrst")))) == ["klmnopqrst"]


def test_a_few_tokens_that_came_together_go_together() -> None:
    """They cost less than another message."""
    assert list(map(said, stream().feed(read(*"abcdefgh")))) == ["abcdefgh"]


def test_what_follows_the_first_token_is_not_looked_at_before_it_has_gone() -> None:
    """Even where it is an error."""
    messages = iter(stream().feed(read(*"abcdefgh") + b"data: garbage\n\n"))
    assert said(next(messages)) == "abc"
    assert said(next(messages)) == "defgh"
    with pytest.raises(GatewayError):
        next(messages)


def test_nothing_counts_behind_the_end() -> None:
    """Neither in the same message nor in one of its own."""
    for before in ("ab", "abc", "abcd", "abcdefgh"):
        chunks = stream()
        told = "".join(map(said, chunks.feed(read(*before) + b"data: [DONE]\n\n" + read("x", "y", "z"))))
        assert told == before
        assert chunks.done
