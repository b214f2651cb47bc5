"""Messages of each role from what a caller has at hand."""

from portico.client import assistant, system, tool, user
from portico.v1.message_pb2 import ChatMessage, ContentPart, ImageUrl
from portico.v1.tools_pb2 import FunctionCall, ToolCall


def test_each_role_has_its_helper() -> None:
    call = ToolCall(id="c1", type="function", function=FunctionCall(name="f", arguments="{}"))
    assert system("Be brief.") == ChatMessage(role="system", content="Be brief.")
    assert user("hello") == ChatMessage(role="user", content="hello")
    assert assistant("hi") == ChatMessage(role="assistant", content="hi")
    assert assistant(tool_calls=[call]) == ChatMessage(role="assistant", tool_calls=[call])
    assert tool("c1", "42") == ChatMessage(role="tool", tool_call_id="c1", content="42")


def test_a_user_may_send_parts() -> None:
    image = ContentPart(type="image_url", image_url=ImageUrl(url="https://example.com/a.png"))
    parts = [ContentPart(type="text", text="What is this?"), image]
    assert user(parts) == ChatMessage(role="user", content_parts=parts)
