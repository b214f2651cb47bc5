"""What counts as content, and when a stream is whole."""

from typing import Any

import pytest

from portico.v1.chat_pb2 import ChatChoice
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, Delta
from portico.v1.completions_pb2 import TextChoice
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import Annotation, AssistantAudio, ChatMessage
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico.v1.usage_pb2 import Usage
from portico_core.operations import STREAM
from portico_core.progress import Progress, has_content, has_text, says_something
from tests.support.core import chunk


@pytest.mark.parametrize(
    ("delta", "content"),
    [
        ({}, False),
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": "", "reasoning": "", "refusal": ""}, False),
        ({"content": "x"}, True),
        ({"content": " "}, True),
        ({"reasoning": "x"}, True),
        ({"reasoning_content": "x"}, True),
        ({"refusal": "x"}, True),
        ({"tool_calls": [ToolCallDelta(index=0)]}, True),
        ({"function_call": FunctionCall(name="f")}, True),
        ({"audio": AssistantAudio(id="a")}, True),
        ({"annotations": [Annotation(type="url_citation")]}, False),
        ({"extra_json": '{"content": [{"type": "thinking"}]}'}, True),
        ({"extra_json": '{"reasoning_details": [], "x": null, "y": ""}'}, False),
        ({"extra_json": "not JSON"}, True),
    ],
)
def test_content_commits(delta: dict[str, Any], content: bool) -> None:
    """Text, reasoning, refusals, calls, audio and vendors' own content do; roles and empty frames do not."""
    assert has_content(ChunkChoice(delta=Delta(**delta))) is content
    assert has_content(ChunkChoice(delta=Delta(**delta), finish_reason="stop"))


def after(*chunks: ChatChunk) -> Progress:
    progress = Progress(has_content, STREAM.text_of, STREAM.runs())
    for each in chunks:
        progress.take(StreamResponse(chunks=[each]))
    together = Progress(has_content, STREAM.text_of, STREAM.runs())
    together.take(StreamResponse(chunks=chunks))
    assert (progress.committed, progress.whole) == (together.committed, together.whole)
    return progress


@pytest.mark.parametrize(
    ("chunks", "whole"),
    [
        ([], False),
        ([ChatChunk(usage=Usage(total_tokens=1))], False),
        ([chunk(content="x")], False),
        ([chunk(content="x"), chunk(finish_reason="stop")], True),
        ([chunk(content="x", finish_reason="length")], True),
        ([chunk(role="assistant"), chunk(1, content="x"), chunk(1, finish_reason="stop")], False),
        ([chunk(1, content="x"), chunk(0, finish_reason="stop"), chunk(1, finish_reason="stop")], True),
        ([chunk(1, finish_reason="stop"), chunk(content="x")], False),
        ([chunk(finish_reason="")], False),
        ([chunk(finish_reason="stop"), ChatChunk(usage=Usage(total_tokens=1))], True),
    ],
)
def test_a_stream_is_whole_when_every_choice_that_began_has_finished(
    chunks: list[ChatChunk], whole: bool
) -> None:
    """However its chunks are cut into messages."""
    assert after(*chunks).whole is whole


@pytest.mark.parametrize(
    ("later", "told_of", "contradiction", "late"),
    [
        (chunk(finish_reason="stop"), ["stop", "stop"], "", False),
        (chunk(finish_reason="length"), ["stop"], "stop, then length", False),
        (chunk(content="x"), ["stop"], "", True),
        (chunk(content="x", finish_reason="stop"), ["stop", "stop"], "", True),
        (chunk(content="x", finish_reason="length"), ["stop"], "stop, then length", True),
        (chunk(finish_reason="x" * 1000), ["stop"], f"stop, then {'x' * 64}", False),
        (chunk(1, finish_reason="length"), ["stop", "length"], "", False),
    ],
)
def test_a_choice_finishes_in_one_way(
    later: ChatChunk, told_of: list[str], contradiction: str, late: bool
) -> None:
    """What comes after that is kept but for another finish_reason, also within one message."""
    first = chunk(content="a", finish_reason="stop")
    for cut in (([first], [later]), ([first, later],)):
        progress = Progress(has_content, STREAM.text_of, STREAM.runs())
        told = [StreamResponse(chunks=chunks) for chunks in cut]
        for each in told:
            progress.take(each)
        choices = [choice for each in told for one in each.chunks for choice in one.choices]
        assert [choice.delta for choice in choices] == [first.choices[0].delta, later.choices[0].delta]
        assert [choice.finish_reason for choice in choices if choice.finish_reason] == told_of
        assert (progress.whole, progress.contradiction, progress.late) == (True, contradiction, late)


def test_the_last_usage_counts() -> None:
    """Running totals are not added up, and usage may come after the end."""
    progress = after(
        ChatChunk(usage=Usage(total_tokens=1)),
        chunk(finish_reason="stop"),
        ChatChunk(usage=Usage(total_tokens=9)),
        ChatChunk(),
    )
    assert progress.usage == Usage(total_tokens=9)


def test_what_is_held_is_bounded() -> None:
    """A backend that sends empty chunks without end is at work; its stream is let go."""
    progress = Progress(has_content, STREAM.text_of, STREAM.runs())
    for count in range(1, 1002):
        progress.take(StreamResponse(chunks=[chunk(content="")]))
        assert progress.committed is (count > 1000)


@pytest.mark.parametrize(
    ("choices", "answers"),
    [
        ([], False),
        ([ChatChoice()], False),
        ([ChatChoice(finish_reason="content_filter")], True),
        ([ChatChoice(message=ChatMessage(content="x"))], True),
        ([ChatChoice(message=ChatMessage(content="x"), finish_reason="stop"), ChatChoice(index=1)], False),
    ],
)
def test_an_answer_has_choices_that_say_something(choices: list[ChatChoice], answers: bool) -> None:
    """A filtered choice may lack its message, an old server's its finish_reason; not both."""
    assert says_something(choices, "message") is answers


def test_an_empty_text_is_an_answer_but_no_content() -> None:
    """A model may have nothing to add; what counts is that the choice has a text, or an end."""
    assert says_something([TextChoice(text="")], "text")
    assert not says_something([TextChoice(index=0)], "text")
    assert not has_text(TextChoice(text=""))
    assert has_text(TextChoice(text="x"))
    assert has_text(TextChoice(finish_reason="stop"))
