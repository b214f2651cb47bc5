"""Chat requests that are refused: the words, and the name of the member."""

from typing import Any

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat, render_chat
from portico.v1.chat_pb2 import ChatCompletionParams

HEAD = '{"model":"m","messages":[{"role":"user"}]'

INVALID = "Invalid type for"
PARTS = "one of a string or array of objects"
MISSING = "Missing required parameter:"

REFUSED = {
    "{}": (f"{MISSING} 'model'.", "model"),
    '{"model":"m"}': (f"{MISSING} 'messages'.", "messages"),
    '{"model":null,"messages":[{"role":"user"}]}': (f"{MISSING} 'model'.", "model"),
    '{"model":"m","messages":[]}': (f"{MISSING} 'messages'.", "messages"),
    '{"model":"m","messages":[{"role":"user"},{}]}': (f"{MISSING} 'messages[1].role'.", "messages[1].role"),
    '{"model":5}': (f"{INVALID} 'model': expected a string, but got an integer instead.", "model"),
    '{"messages":"Hi"}': (
        f"{INVALID} 'messages': expected an array of objects, but got a string instead.",
        "messages",
    ),
    '{"messages":[null]}': (
        f"{INVALID} 'messages[0]': expected an object, but got null instead.",
        "messages[0]",
    ),
    '{"messages":[{"content":{}}]}': (
        f"{INVALID} 'messages[0].content': expected {PARTS}, but got an object instead.",
        "messages[0].content",
    ),
    '{"messages":[{"role":"user","content":["x"]}]}': (
        f"{INVALID} 'messages[0].content[0]': expected an object, but got a string instead.",
        "messages[0].content[0]",
    ),
    '{"messages":[{"content":[{},{"image_url":{"url":5}}]}]}': (
        f"{INVALID} 'messages[0].content[1].image_url.url': expected a string, but got an integer instead.",
        "messages[0].content[1].image_url.url",
    ),
    HEAD + ',"n":1.5}': (f"{INVALID} 'n': expected an integer, but got a decimal instead.", "n"),
    HEAD + ',"n":true}': (f"{INVALID} 'n': expected an integer, but got a boolean instead.", "n"),
    HEAD + ',"seed":9223372036854775808}': ("Invalid 'seed': the integer is out of range.", "seed"),
    HEAD + ',"seed":' + "9" * 5000 + "}": ("Invalid 'seed': the integer is out of range.", "seed"),
    HEAD + ',"seed":9223372036854775808.0}': (
        f"{INVALID} 'seed': expected an integer, but got a decimal instead.",
        "seed",
    ),
    HEAD + ',"temperature":1e400}': ("Invalid 'temperature': the number is out of range.", "temperature"),
    HEAD + ',"temperature":' + "9" * 400 + "}": (
        "Invalid 'temperature': the number is out of range.",
        "temperature",
    ),
    HEAD + ',"temperature":"1"}': (
        f"{INVALID} 'temperature': expected a decimal, but got a string instead.",
        "temperature",
    ),
    HEAD + ',"stream":1}': (f"{INVALID} 'stream': expected a boolean, but got an integer instead.", "stream"),
    HEAD + ',"stop":[1]}': (
        f"{INVALID} 'stop[0]': expected a string, but got an integer instead.",
        "stop[0]",
    ),
    HEAD + ',"stop":1}': (
        f"{INVALID} 'stop': expected one of a string or array of strings, but got an integer instead.",
        "stop",
    ),
    HEAD + ',"logit_bias":{"1":"x"}}': (
        f"{INVALID} 'logit_bias.1': expected a decimal, but got a string instead.",
        "logit_bias.1",
    ),
    HEAD + ',"tool_choice":[]}': (
        f"{INVALID} 'tool_choice': expected one of a string or object, but got an array instead.",
        "tool_choice",
    ),
    HEAD + ',"audio":{"voice":1}}': (
        f"{INVALID} 'audio.voice': expected one of a string or object, but got an integer instead.",
        "audio.voice",
    ),
    HEAD + ',"user":"\\ud83d"}': ("Invalid 'user': the string is not valid Unicode.", "user"),
}


@pytest.mark.parametrize(("body", "message", "param"), [(body, *told) for body, told in REFUSED.items()])
def test_a_wrong_member_is_refused_in_openais_words(body: str, message: str, param: str) -> None:
    """400, with the path of the member."""
    with pytest.raises(GatewayError) as caught:
        parse_chat(body.encode())
    assert (caught.value.http_status, caught.value.error_class) == (400, ErrorClass.CALLER)
    assert (caught.value.message, caught.value.param) == (message, param)
    assert caught.value.type == "invalid_request_error"


NOT_A_REQUEST = {
    "nothing": b"",
    "a list": b"[]",
    "null": b" null ",
    "text": b"Hello",
    "half": b'{"model":"m"',
    "something behind": HEAD.encode() + b"} x",
    "single quotes": b"{'model':'m'}",
    "a trailing comma": HEAD.encode() + b",}",
    "NaN": HEAD.encode() + b',"x":NaN}',
    "Infinity": HEAD.encode() + b',"temperature":Infinity}',
    "a bare line break in a string": HEAD.encode() + b',"x":"\n"}',
    "a broken number": HEAD.encode() + b',"x":01}',
    "a broken member behind half a surrogate": HEAD.encode() + b',"x":"\\ud83d","y":NaN}',
    "not UTF-8": HEAD.encode() + b',"x":"\xff"}',
    "a name that is no text": HEAD.encode() + b',"\\ud83d":1}',
    "UTF-16": (HEAD + "}").encode("utf-16"),
    "deep": HEAD.encode() + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep in a schema": HEAD.encode() + b',"tools":[{"function":{"parameters":' + b'{"a":' * 100_000,
    "deep behind half a surrogate": HEAD.encode()
    + b',"y":"\\ud83d","x":'
    + b"[" * 200_000
    + b"]" * 200_000
    + b"}",
}


@pytest.mark.parametrize("body", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """400 and a message that says why; nothing else is raised, however odd the body."""
    with pytest.raises(GatewayError) as caught:
        parse_chat(body)
    assert (caught.value.http_status, caught.value.param) == (400, None)
    assert len(caught.value.message) < 200
    assert "body" in caught.value.message


INJECTIONS = {
    "tools[0].function.parameters": {"tools": [{"function": {"parameters_json": '{}},"model":"dear"'}}]},
    "response_format.json_schema.schema": {"response_format": {"json_schema": {"schema_json": ""}}},
    "messages[0].extra_json": {"messages": [{"extra_json": "[]"}]},
    "extra_json": {"extra_json": '{"a":1},"model":"dear"}'},
    "tool_choice": {"tool_choice": {"other_json": '{"a":"\\ud83d"},"model":"dear"'}},
    "moderation": {"moderation_json": "[" * 200_000},
}


@pytest.mark.parametrize(("param", "fields"), INJECTIONS.items(), ids=INJECTIONS)
def test_a_text_that_is_no_json_is_not_sent_on(param: str, fields: dict[str, Any]) -> None:
    """A caller of gRPC could write any member with it, past every check of the gateway."""
    with pytest.raises(GatewayError) as caught:
        render_chat(ChatCompletionParams(**fields), model="m", stream=False)
    assert caught.value.http_status == 400
    assert caught.value.param in (param, None)


def test_the_answer_to_a_wrong_body_says_what_and_where() -> None:
    """For people who write their JSON by hand."""
    with pytest.raises(GatewayError) as caught:
        parse_chat(b'{"model":"m",}')
    assert "trailing comma in object (byte 13)" in caught.value.message
