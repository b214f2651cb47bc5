"""Objects that are read at once mean what they mean when they are read member by member."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from portico.errors import GatewayError
from portico.openai._at_once import at_once
from portico.openai._shapes import Shape
from portico.openai.requests import parse_chat
from portico.openai.responses import parse_completion, parse_text
from portico.v1.chat_pb2 import ChatCompletion, ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.embeddings_pb2 import Embedding
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import Tool
from tests.proto.openai.strategies import objects

thorough = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
with_messages = pytest.mark.parametrize(
    ("parse", "of"),
    [
        (lambda body: parse_chat(body)[0], ChatCompletionParams.DESCRIPTOR),
        (parse_completion, ChatCompletion.DESCRIPTOR),
        (parse_text, TextCompletion.DESCRIPTOR),
    ],
    ids=["request", "answer", "text"],
)

CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": ""},
]
TOOL = {
    "type": "function",
    "function": {"name": "now", "strict": True, "parameters": {"type": "object", "maximum": 1.0}},
}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "total_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}},
    "metadata": {"a": "b"},
    "system_fingerprint": None,
}


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (ChatMessage.DESCRIPTOR, CONVERSATION),
        (Tool.DESCRIPTOR, [TOOL]),
        (ChatCompletion.DESCRIPTOR, [ANSWER]),
    ],
    ids=["messages", "tools", "answers"],
)
def test_what_is_usual_is_read_at_once(of: Descriptor, found: list[Any]) -> None:
    """Else all the tests below would compare one way of reading with itself."""
    reader = at_once(of)
    assert reader is not None
    made = reader.many(Raw(json.dumps(found).encode()))
    assert made is not None
    assert len(made) == len(found)


def test_what_has_forms_of_its_own_is_never_read_at_once() -> None:
    """A vector is numbers or a text."""
    assert at_once(Embedding.DESCRIPTOR) is None


@pytest.mark.parametrize(
    "messages",
    [
        '[{"role":"user","content":"a","content":null}]',
        '[{"role":"user","content":[{"type":"text","text":"a"}],"content":"b"}]',
        '[{"role":"user","content":"\\ud83d"}]',
        '[{"role":"user","content":"\\ud83d\\ude00"}]',
        '[{"role":"user","content":[]}]',
        '[{"role":"user","content":[null]}]',
        '[{"role":"user","content":[{"type":"image_url","image_url":"http://x/"}]}]',
        '[{"role":"assistant","audio":{},"function_call":null}]',
        '[{"role":"assistant","audio":{"id":"a","expires_at":1.0}}]',
        '[{"role":"assistant","audio":{"expires_at":true}}]',
        '[{"role":"assistant","audio":{"expires_at":9223372036854775808}}]',
        '[{"role":"user","content_parts":[]}]',
        '[{"role":"user","extra_json":"{}"}]',
        '[{"role":5},7]',
        "[{}]",
        "null",
        "{}",
    ],
)
def test_messages_that_are_told_in_unusual_ways(messages: str) -> None:
    """Twice, as half an emoji, as null, by the names of the contract's fields."""
    body = f'{{"model":"m","messages":{messages}}}'.encode()
    assert _either_way(lambda text: parse_chat(text)[0], body)


@pytest.mark.parametrize("parameters", ["null", '{"a" : 1e400}', '"x"', "-0.0", '"\\ud83d"'])
def test_schemas_stay_as_they_were_written(parameters: str) -> None:
    """They are text in the contract."""
    tool = f'{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}}'
    body = f'{{"model":"m","messages":[{{"role":"user","content":"x"}}],"tools":[{tool}]}}'.encode()
    params = _either_way(lambda text: parse_chat(text)[0], body)
    carried = params.tools[0].function
    assert carried.parameters_json == ("" if parameters == "null" else parameters)
    assert carried.HasField("parameters_json") is (parameters != "null")


def test_lists_inside_are_bounded() -> None:
    """As those are that are read member by member."""
    parts = b",".join([b"{}"] * 100_001)
    body = b'{"model":"m","messages":[{"role":"user","content":[%b]}]}' % parts
    refused = _either_way(lambda text: parse_chat(text)[0], body)
    assert refused[2:] == ("messages[0].content", "array_above_max_length")
    answer = _either_way(parse_completion, b'{"choices":[%b]}' % parts)
    assert not answer.choices


@with_messages
@thorough
@given(data=st.data())
def test_both_ways_of_reading_agree(
    parse: Callable[[bytes], Message], of: Descriptor, data: st.DataObject
) -> None:
    """For members of any kind, known or not: one message, or one error."""
    found = data.draw(objects(of, wild=data.draw(st.booleans())))
    if of is ChatCompletionParams.DESCRIPTOR:
        found |= {"model": "m", "messages": data.draw(st.lists(objects(ChatMessage.DESCRIPTOR, wild=True)))}
    _either_way(parse, json.dumps(found, ensure_ascii=data.draw(st.booleans())).encode())


def _either_way(parse: Callable[[bytes], Any], body: bytes) -> Any:
    """Read a body in both ways; return what both find, which is the message or the error."""
    at_once_too = _outcome(parse, body)
    with _member_by_member():
        slowly = _outcome(parse, body)
    assert at_once_too == slowly
    return slowly


def _outcome(parse: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parse(body)
    except GatewayError as error:
        return error.http_status, error.message, error.param, error.code


@contextmanager
def _member_by_member() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shape, "read_object", lambda *_: None)
        patch.setattr(Shape, "read_list", lambda *_: None)
        yield
