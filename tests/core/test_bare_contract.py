"""Whether a request has extra_json anywhere, at which depth it may be."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FileDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.v1 import gateway_pb2
from portico.v1.chat_pb2 import ChatCompletionParams, ResponseFormat
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.message_pb2 import ChatMessage, ContentPart, ImageUrl
from portico.v1.tools_pb2 import AllowedTools, FunctionCall, FunctionDefinition, Tool, ToolCall, ToolChoice
from portico_core.bare_contract import EXTRA_NUMBER, may_have_extra
from portico_core.unknown_members import holders
from tests.proto.openai.endpoints import Endpoint, for_each_endpoint


def _conversation(**members: Any) -> ChatCompletionParams:
    """A request whose every text has the letter that is the tag of extra_json."""
    said = [ChatMessage(role="user", content="zzz" * 100), ChatMessage(role="assistant", content="buzz")]
    return ChatCompletionParams(model="zephyr", messages=said * 100, metadata={"z": "z" * 15}, **members)


def test_a_long_conversation_has_none() -> None:
    assert not may_have_extra(_conversation())


def test_neither_has_one_with_tools_and_parts() -> None:
    zebra = FunctionCall(name="zebra", arguments="z")
    params = _conversation(
        tools=[Tool(type="function", function=FunctionDefinition(name="zebra", parameters_json='{"z":1}'))],
        tool_choice=ToolChoice(allowed_tools=AllowedTools(mode="z", tools_json="[]")),
    )
    params.messages.add(role="assistant", tool_calls=[ToolCall(id="z", function=zebra)])
    params.messages.add(role="user", content_parts=[ContentPart(type="text", text="zoom")])
    assert not may_have_extra(params)


@pytest.mark.parametrize("text", ["{}", '{"a":1}', "no JSON", "z", " "])
@pytest.mark.parametrize(
    "params",
    [
        lambda extra: _conversation(extra_json=extra),
        lambda extra: _conversation(response_format=ResponseFormat(extra_json=extra)),
        lambda extra: TextCompletionParams(model="m", extra_json=extra),
        lambda extra: ChatCompletionParams(
            messages=[ChatMessage(content_parts=[ContentPart(image_url=ImageUrl(extra_json=extra))])]
        ),
    ],
)
def test_it_is_found_wherever_it_stands(params: Any, text: str) -> None:
    """Whatever text it is: what is no JSON must be refused."""
    assert may_have_extra(params(text))


@for_each_endpoint
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_no_is_certain(endpoint: Endpoint, data: st.DataObject) -> None:
    """For every request that can be made."""
    params, _ = endpoint.parse(json.dumps(data.draw(endpoint.requests)).encode())
    assert may_have_extra(params) or not list(holders(params))


def test_it_has_one_number_in_all_messages() -> None:
    """Its tag is looked for."""
    numbers = {
        message.fields_by_name["extra_json"].number
        for file in _files(gateway_pb2.DESCRIPTOR)
        for message in file.message_types_by_name.values()
        if "extra_json" in message.fields_by_name
    }
    assert numbers == {EXTRA_NUMBER}


def _files(of: FileDescriptor) -> list[FileDescriptor]:
    return [of, *(inner for each in of.dependencies for inner in _files(each))]
