"""Chat answers: Ollama's JSON in, OpenAI's out, whole and line by line."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.testing.wire import pieces
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._ndjson import NdjsonParser
from portico_adapters._translation import Translation
from portico_adapters.ollama.chat_answer import ChatStream, completion_of
from tests.adapters.calls import events_in
from tests.adapters.ollama.fixtures import ANSWERS, CALL, read


def translated(wire: bytes, size: int | None = None, limit: int = 1 << 20) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives in pieces of ``size`` bytes."""
    translator = Translation(StreamResponse, NdjsonParser(limit), ChatStream(CALL))
    for piece in pieces(wire, size):
        yield from translator.feed(piece)
    yield from translator.close()


def line(**members: Any) -> bytes:
    """Return a line of a stream."""
    return json.dumps(members).encode() + b"\n"


def says(content: str) -> bytes:
    return line(
        created_at="2025-01-01T00:00:00Z", message={"role": "assistant", "content": content}, done=False
    )


DONE = line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop", eval_count=1)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_becomes_openais(name: str) -> None:
    """Text, thinking, tool calls, finish reason, log probabilities, usage, time."""
    rendered = render_completion(completion_of(read(f"{name}.json"), CALL))
    assert json.loads(rendered) == json.loads(read(f"{name}.openai.json"))


@pytest.mark.parametrize("size", [None, 64, 1])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_becomes_openais(name: str, size: int | None) -> None:
    """Event by event, in pieces of any size."""
    renderer = ChunkRenderer(include_usage=True)
    events = b"".join(map(renderer.render, translated(read(f"{name}.ndjson"), size))) + renderer.finish()
    assert events_in(events) == events_in(read(f"{name}.sse"))


def test_what_one_read_brings_is_one_message() -> None:
    """With the header in the first alone."""
    translator = Translation(StreamResponse, NdjsonParser(1 << 20), ChatStream(CALL))
    (first,) = translator.feed(says("a") + says("b") + says("c")[:9])
    (second,) = translator.feed(says("c")[9:] + DONE)
    assert [len(first.chunks), len(second.chunks)] == [2, 2]
    assert (first.HasField("header"), second.HasField("header")) == (True, False)
    assert translator.done


def test_a_line_that_says_nothing_is_no_chunk() -> None:
    """Servers send empty lines of content while they look for tool calls; the first one has the role."""
    chunks = [
        chunk for message in translated(says("") + says("") + says("x") + DONE) for chunk in message.chunks
    ]
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "x", ""]
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", "", ""]


def test_what_follows_the_end_does_not_count() -> None:
    """Nothing that a broken server adds changes a whole answer."""
    plain, odd = says("x") + DONE, says("x") + DONE + says("y") + DONE + b"{"
    assert list(translated(odd)) == list(translated(plain))


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_error_in_mid_stream_follows_what_came_before_it(size: int | None, end: bytes) -> None:
    """Of one read too. Its words are for the log: they may name what is behind the backend."""
    wire = says("He") + b'{"error": "CUDA error at ggml-cuda.cu:99"}' + end
    messages: list[StreamResponse] = []
    with pytest.raises(GatewayError) as caught:
        messages.extend(translated(wire, size))
    assert [chunk.choices[0].delta.content for message in messages for chunk in message.chunks] == ["He"]
    error = caught.value
    assert (error.error_class, error.http_status) == (ErrorClass.UPSTREAM, 502)
    assert "CUDA" in error.detail
    assert "CUDA" not in error.message


BROKEN = {
    "nothing": b"",
    "no end": says("x"),
    "cut in a line": says("x") + DONE[:20],
    "no JSON": b"<html>\n",
    "no object": b"[]\n",
    "a number as content": line(message={"content": 1}),
    "a count below 0": line(message={"content": "x"}, done=True, eval_count=-1),
    "a count that nobody can add": line(message={"content": "x"}, done=True, eval_count=1 << 63),
    "half a character": b'{"message":{"content":"\xf0\x9f"}}\n',
    "half a character in arguments": b'{"message":{"tool_calls":[{"function":{"arguments":["\xf0"]}}]}}\n',
    "nested too deep": b'{"message":' + b"[" * 100_000 + b"\n",
    "a load": line(message={"content": ""}, done=True, done_reason="load"),
    "an unload": line(message={"content": ""}, done=True, done_reason="unload"),
    "an error": line(error="x"),
    "an error as an object": line(error={"message": "x"}),
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_the_backends_failure(wire: bytes) -> None:
    """As a stream and as a whole answer."""
    with pytest.raises(GatewayError) as caught:
        list(translated(wire))
    assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.UPSTREAM, 502)
    with pytest.raises(GatewayError) as caught:
        completion_of(wire, CALL)
    assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.UPSTREAM, 502)


def test_a_line_larger_than_the_bound_is_the_backends_failure() -> None:
    """Nobody has to hold what never ends."""
    with pytest.raises(GatewayError) as caught:
        list(translated(says("x" * 1000), 16, limit=500))
    assert caught.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize("moment", [None, "", "0001-01-01T00:00:00Z", "yesterday"])
def test_an_answer_without_a_time_was_made_now(moment: str | None) -> None:
    """Go writes year 1 where it knows no time."""
    before = int(time.time())
    made = completion_of(line(created_at=moment, message={"content": "x"}, done=True), CALL).created
    assert before <= made <= time.time()


def test_made_ids_differ_where_what_they_name_does() -> None:
    """By request, by time, and within one answer by place; and are the same for the same."""
    tools = {"tool_calls": [{"function": {"name": "f"}}, {"function": {"name": "f"}}]}
    bodies = [line(created_at=f"2025-01-01T00:00:0{n}Z", message=tools, done=True) for n in (1, 2)]
    answers = [completion_of(body, CALL) for body in bodies]
    ids = {call.id for answer in answers for call in answer.choices[0].message.tool_calls}
    assert len(ids) == 4
    assert answers[0].id != answers[1].id
    assert completion_of(bodies[0], CALL) == answers[0]
