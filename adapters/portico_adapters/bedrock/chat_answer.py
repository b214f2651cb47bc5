"""Whole answers of Converse as OpenAI's. Pure."""

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters._reading import read, unreadable
from portico_adapters.bedrock.answers import Ended, finish_of, legacy, new_id, now, told
from portico_adapters.bedrock.blocks import BLOCKS, ToolUse, annotations_of


class _Message(Struct):
    role: str | None = None
    content: list[Raw] | None = None


class _Output(Struct):
    message: _Message | None = None


class _Answer(Ended):
    output: _Output | None = None


_ANSWER: Final = Decoder(_Answer)


def completion_of(body: bytes, call: UpstreamCall) -> ChatCompletion:
    """Read a whole answer."""
    answer = read(body, _ANSWER)
    if answer.output is None or answer.output.message is None:
        raise unreadable("an answer without a message")
    old = legacy(call)
    message = _message(answer.output.message.content or [], old=old)
    called = bool(message.tool_calls) or message.HasField("function_call")
    finish, extra = finish_of(answer.stopReason, called=called, legacy=old)
    choice = ChatChoice(index=0, message=message, finish_reason=finish, extra_json=extra)
    return ChatCompletion(
        id=new_id(call, body),
        object="chat.completion",
        created=now(),
        model=call.model,
        choices=[choice],
        usage=answer.usage.usage() if answer.usage else None,
        service_tier=answer.tier(),
        extra_json=answer.extra_json(),
    )


def _message(content: list[Raw], *, old: bool) -> ChatMessage:
    message = ChatMessage(role="assistant")
    texts, thoughts = list[str](), list[str]()
    details, citations, pictures = list[object](), list[object](), list[object]()
    without_place = False
    length = 0
    for index, raw in enumerate(content):
        block = read(raw, BLOCKS)
        without_place |= block.has_no_place
        said = block.said
        annotations, others = annotations_of(block.cited, length, length + len(said))
        message.annotations.extend(annotations)
        citations += others
        texts.append(said)
        length += len(said)
        thoughts.append(block.thought)
        if detail := block.detail(index):
            details.append(detail)
        if picture := block.picture:
            pictures.append(picture)
        if block.toolUse is not None and not block.has_no_place:
            _call(block.toolUse, message, old=old)
    text, thought = "".join(texts), "".join(thoughts)
    # Beside tool calls no text is null at OpenAI.
    if text or not (message.tool_calls or message.HasField("function_call")):
        message.content = text
    if thought:
        message.reasoning_content = thought
    carried = content if without_place else None
    message.extra_json = told(
        {
            "reasoning_details": details,
            "citations": citations,
            "images": pictures,
            "content_blocks": carried,
        }
    )
    return message


def _call(told: ToolUse, message: ChatMessage, *, old: bool) -> None:
    function = FunctionCall(name=told.name, arguments=bytes(told.input).decode())
    if not old:
        message.tool_calls.add(id=told.toolUseId, type="function", function=function)
    elif not message.HasField("function_call"):
        # There is room for one.
        message.function_call.CopyFrom(function)
