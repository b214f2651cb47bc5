"""Chat requests: what becomes of a body, literally."""

import json

import pytest

from portico.errors import GatewayError
from portico.openai.requests import parse_chat, render_chat
from portico.v1.chat_pb2 import (
    AudioParams,
    ChatCompletionParams,
    CustomVoice,
    JsonSchemaFormat,
    ResponseFormat,
)
from portico.v1.message_pb2 import ChatMessage, ContentPart, ImageUrl
from portico.v1.tools_pb2 import AllowedTools, FunctionCall, FunctionDefinition, Tool, ToolCall, ToolChoice
from tests.proto.openai.meaning import meaning

HEAD = '{"model":"m","messages":[{"role":"user"}]'


def params(**fields: object) -> ChatCompletionParams:
    """Return the parameters of ``HEAD`` and more."""
    return ChatCompletionParams(model="m", messages=[ChatMessage(role="user")], **fields)  # type: ignore[arg-type]


SCHEMA = '{"type": "object", "properties": {"z": {"const": 12345678901234567890}, "a": {"const": 1e400}}}'

GOLDEN = {
    "text": (
        """{"model": "m", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi", "name": "a"}]}""",
        ChatCompletionParams(
            model="m",
            messages=[
                ChatMessage(role="system", content="Be brief."),
                ChatMessage(role="user", content="Hi", name="a"),
            ],
        ),
    ),
    "parts": (
        """{"model": "m", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            {"type": "video_url", "video_url": {"url":"http://x"}}]}]}""",
        ChatCompletionParams(
            model="m",
            messages=[
                ChatMessage(
                    role="user",
                    content_parts=[
                        ContentPart(type="text", text="What is this?"),
                        ContentPart(
                            type="image_url",
                            image_url=ImageUrl(url="data:image/png;base64,AA==", detail="low"),
                        ),
                        ContentPart(type="video_url", extra_json='{"video_url":{"url":"http://x"}}'),
                    ],
                )
            ],
        ),
    ),
    "tools": (
        """{"model": "m", "messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "2"}],
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": true}}]}""",
        ChatCompletionParams(
            model="m",
            messages=[
                ChatMessage(
                    role="assistant",
                    tool_calls=[
                        ToolCall(
                            id="c", type="function", function=FunctionCall(name="f", arguments='{"a": 1}')
                        )
                    ],
                ),
                ChatMessage(role="tool", tool_call_id="c", content="2"),
            ],
            tools=[
                Tool(
                    type="function",
                    function=FunctionDefinition(name="f", parameters_json=SCHEMA, strict=True),
                )
            ],
        ),
    ),
    "numbers": (
        HEAD
        + ',"temperature":1,"top_p":0.25,"n":2.0,"seed":-9223372036854775808,"logit_bias":{"50256":-100}}',
        params(temperature=1.0, top_p=0.25, n=2, seed=-(2**63), logit_bias={"50256": -100.0}),
    ),
    "stop as text": (HEAD + ',"stop":"END"}', params(stop=["END"], stop_is_text=True)),
    "stop as list": (HEAD + ',"stop":["END"]}', params(stop=["END"])),
    "schema": (
        HEAD
        + ',"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":'
        + SCHEMA
        + "}}}",
        params(
            response_format=ResponseFormat(
                type="json_schema", json_schema=JsonSchemaFormat(name="s", schema_json=SCHEMA)
            )
        ),
    ),
    "a voice by name": (
        HEAD + ',"modalities":["text","audio"],"audio":{"format":"mp3","voice":"alloy"}}',
        params(modalities=["text", "audio"], audio=AudioParams(format="mp3", voice="alloy")),
    ),
    "a voice by id": (
        HEAD + ',"audio":{"voice":{"id":"v1","speed":2}}}',
        params(audio=AudioParams(custom_voice=CustomVoice(id="v1", extra_json='{"speed":2}'))),
    ),
    "tool_choice as a word": (
        HEAD + ',"tool_choice":"required"}',
        params(tool_choice=ToolChoice(mode="required")),
    ),
    "tool_choice of a function": (
        HEAD + ',"tool_choice":{"type":"function","function":{"name":"f"}}}',
        params(tool_choice=ToolChoice(function_name="f")),
    ),
    "tool_choice of a custom tool": (
        HEAD + ',"tool_choice":{"type":"custom","custom":{"name":"f"}}}',
        params(tool_choice=ToolChoice(custom_name="f")),
    ),
    "tool_choice of some tools": (
        HEAD + ',"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"a": 1}]}}}',
        params(tool_choice=ToolChoice(allowed_tools=AllowedTools(mode="auto", tools_json='[{"a": 1}]'))),
    ),
    "tool_choice of another shape": (
        HEAD + ',"tool_choice":{"type":"function", "name":"f"}}',
        params(tool_choice=ToolChoice(other_json='{"type":"function", "name":"f"}')),
    ),
    "function_call": (
        HEAD + ',"function_call":{"name":"f"},"functions":[{"name":"f"}]}',
        params(function_call=ToolChoice(function_name="f"), functions=[FunctionDefinition(name="f")]),
    ),
    "options that are empty": (HEAD + ',"stream_options":{}}', params(stream_options={})),
    "unknown members": (
        HEAD + ',"top_k":40,"chat_template_kwargs":{"enable_thinking":false}}',
        params(extra_json='{"top_k":40,"chat_template_kwargs":{"enable_thinking":false}}'),
    ),
}


@pytest.mark.parametrize(("body", "message"), GOLDEN.values(), ids=GOLDEN)
def test_a_request_becomes_this_message_and_back(body: str, message: ChatCompletionParams) -> None:
    """Both directions, literally."""
    body = body.replace("SCHEMA", SCHEMA)
    assert parse_chat(body.encode()) == (message, False)
    assert meaning(render_chat(message, model="m", stream=False)) == meaning(body)


def test_an_image_may_be_a_bare_url() -> None:
    """As Mistral and the first vision models have it; it is passed on in OpenAI's form of today."""
    body = HEAD.replace('"user"', '"user","content":[{"type":"image_url","image_url":"http://x"}]') + "}"
    parsed, _ = parse_chat(body.encode())
    assert parsed.messages[0].content_parts[0].image_url == ImageUrl(url="http://x")
    assert b'"image_url":{"url":"http://x"}' in render_chat(parsed, model="m", stream=False)


def test_null_is_absent() -> None:
    """A null leaves no trace in its field, at any depth."""
    body = (
        HEAD
        + ',"n":null,"stop":null,"tool_choice":null,"audio":{"voice":null},"metadata":{"a":null,"b":"c"}}'
    )
    parsed, stream = parse_chat(body.replace('"user"', '"user","content":null,"audio":null').encode())
    assert parsed == params(audio=AudioParams(), metadata={"b": "c"})
    assert not stream


def test_what_portico_only_carries_is_verbatim() -> None:
    """Order, blanks, escapes, the size of integers and the look of numbers stay, byte by byte."""
    value = '{"b": 18446744073709551616, "a": [-0.0, 1e400, 1E+2], "é\\u00e9\\/": "\\ud83d\\ude00", "b":1 }'
    body = HEAD + ',"x":' + value + ',"response_format":{"json_schema":{"schema":' + value + "}}}"
    parsed, _ = parse_chat(body.encode())
    assert parsed.extra_json == '{"x":' + value + "}"
    assert parsed.response_format.json_schema.schema_json == value
    rendered = render_chat(parsed, model="m", stream=False).decode()
    assert rendered.count(value) == 2


def test_half_an_escaped_surrogate_pair_is_carried() -> None:
    """JSON's grammar allows it; where it is only carried it stays, beside what is read."""
    value = '{"cut": "\\uD83D", "list": ["\\ude00", NUMBER] }'.replace("NUMBER", "1" * 5000)
    body = (
        '{"x":'
        + value
        + ' , "messages" : [ {"role":"user","content":[{"type":"x","y":"\\ud83d"}]} ] ,"model":"m"}'
    )
    parsed, _ = parse_chat(body.encode())
    assert parsed.extra_json == '{"x":' + value + "}"
    assert parsed.messages[0].content_parts[0].extra_json == '{"y":"\\ud83d"}'
    assert value in render_chat(parsed, model="m", stream=False).decode()


def test_of_two_members_with_one_name_the_last_counts() -> None:
    """As in JavaScript and Python."""
    parsed, stream = parse_chat((HEAD + ',"n":1,"n":2,"stream":true,"stream":false}').encode())
    assert parsed.n == 2
    assert not stream


def test_whole_numbers_are_written_as_integers() -> None:
    """Servers that want an integer in logit_bias get one; the sign of zero stays."""
    message = params(temperature=-0.0, top_p=0.0, logit_bias={"1": -100.0, "2": 0.5}, presence_penalty=1e300)
    rendered = render_chat(message, model="m", stream=False).decode()
    assert '"logit_bias":{"1":-100,"2":0.5}' in rendered or '"logit_bias":{"2":0.5,"1":-100}' in rendered
    assert '"temperature":-0.0,"top_p":0,' in rendered
    assert '"presence_penalty":1e300' in rendered


def test_a_stream_is_asked_for_its_usage() -> None:
    """Under the backend's name of the model; other options stay."""
    body = HEAD + ',"stream":true,"stream_options":{"include_usage":false,"x":1}}'
    parsed, stream = parse_chat(body.encode())
    assert stream
    assert json.loads(render_chat(parsed, model="theirs", stream=stream)) == {
        "model": "theirs",
        "messages": [{"role": "user"}],
        "stream": True,
        "stream_options": {"include_usage": True, "x": 1},
    }
    assert not parsed.stream_options.include_usage


def test_a_byte_order_mark_is_passed_over() -> None:
    body = '{"model": "m", "messages": [{"role": "user"}]}'.encode("utf-8-sig")
    assert parse_chat(body)[0].model == "m"


def test_a_list_longer_than_any_conversation_is_refused_before_it_is_read() -> None:
    body = b'{"model": "m", "messages": [' + b"{}," * 100_000 + b"{}]}"
    with pytest.raises(GatewayError) as refused:
        parse_chat(body)
    assert (refused.value.param, refused.value.code) == ("messages", "array_above_max_length")
