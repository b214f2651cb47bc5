"""Whole answers of POST /v1/messages as OpenAI's. Pure."""

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder, encode

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters._reading import read, unreadable
from portico_adapters.anthropic.answers import End
from portico_adapters.anthropic.blocks import (
    BLOCKS,
    Block,
    Carried,
    arguments_of,
    call_extra,
    cited,
    reasoning_detail,
)
from portico_adapters.anthropic.errors import error_in
from portico_adapters.anthropic.usage import Counted


class _Message(End):
    type: str = ""
    id: str | None = None
    role: str | None = None
    content: list[Raw] | None = None
    usage: Counted | None = None


_MESSAGE: Final = Decoder(_Message)


def completion_of(body: bytes, call: UpstreamCall, *, callers_key: bool = False) -> ChatCompletion:
    """Read a whole answer."""
    answer = read(body, _MESSAGE)
    if answer.type == "error":
        raise error_in(body, callers_key=callers_key)
    if answer.content is None:
        raise unreadable("an answer without content")
    legacy = knows_functions_alone(call)
    message = _message(answer.content, legacy=legacy)
    if refusal := answer.refusal():
        message.refusal = refusal
    called = bool(message.tool_calls) or message.HasField("function_call")
    if message.content or not (called or refusal):
        message.content = message.content or ""
    else:
        # Beside tool calls no text is null at OpenAI.
        message.ClearField("content")
    counted = answer.usage or Counted()
    return ChatCompletion(
        id=answer.id,
        object="chat.completion",
        model=call.model,
        choices=[
            ChatChoice(
                index=0,
                message=message,
                finish_reason=answer.finish_reason(called=called, legacy=legacy),
                extra_json=answer.extra_json(),
            )
        ],
        usage=counted.usage(),
        service_tier=counted.tier,
    )


def knows_functions_alone(call: UpstreamCall) -> bool:
    """Whether the caller uses the deprecated functions, and so expects a function_call."""
    return bool(call.params.functions) and not call.params.tools


def _message(content: list[Raw], *, legacy: bool) -> ChatMessage:
    message = ChatMessage(role="assistant")
    texts, thoughts = list[str](), list[str]()
    details, citations = list[object](), list[object]()
    carried = Carried()
    length = 0
    for index, raw in enumerate(content):
        block = read(raw, BLOCKS)
        carried.add(block.type, raw)
        if block.type == "text":
            text = block.text or ""
            annotations, others = cited(block.citations or (), length, length + len(text))
            message.annotations.extend(annotations)
            citations += others
            texts.append(text)
            length += len(text)
        elif block.type in ("thinking", "redacted_thinking"):
            thoughts.append(block.thinking or "")
            details.append(reasoning_detail(block, index))
        elif block.type == "tool_use":
            _call(block, message, legacy=legacy)
    message.content = "".join(texts)
    if any(thoughts):
        message.reasoning_content = "".join(thoughts)
    members = {"reasoning_details": details, "citations": citations}
    extra = {name: value for name, value in members.items() if value} | carried.members()
    if extra:
        message.extra_json = encode(extra).decode()
    return message


def _call(block: Block, message: ChatMessage, *, legacy: bool) -> None:
    function = FunctionCall(name=block.name or "", arguments=arguments_of(block))
    if not legacy:
        extra = call_extra(block)
        message.tool_calls.add(id=block.id, type="function", function=function, extra_json=extra)
    elif not message.HasField("function_call"):
        # There is room for one, and the request asked for no more.
        message.function_call.CopyFrom(function)
