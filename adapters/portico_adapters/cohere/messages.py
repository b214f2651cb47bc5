"""Messages of OpenAI's API as Cohere's. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from portico.errors import unsupported
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.tools_pb2 import FunctionCall, ToolCall
from portico_adapters._json import members
from portico_adapters.cohere.reasoning import DETAILS, thoughts_in

#: A block, or a message: JSON values, and carried ones as they were written.
Block = dict[str, Any]

_ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

#: Kinds of parts, by role.
_PARTS: Final[Mapping[str, Sequence[str]]] = {
    "system": ("text",),
    "user": ("text", "image_url"),
    "assistant": ("text", "refusal"),
    # A document is Cohere's own: what it cites.
    "tool": ("text", "document"),
}


def messages_of(messages: Sequence[ChatMessage], backend: str) -> list[Block]:
    """Return a conversation; raise 400 where the API cannot take part of it."""
    return [_message(message, f"messages[{at}]", backend) for at, message in enumerate(messages)]


def _message(message: ChatMessage, where: str, backend: str) -> Block:
    if message.role not in _ROLES:
        raise unsupported(f"messages with the role {message.role}", f"{where}.role", backend)
    if message.HasField("audio"):
        raise unsupported("audio in messages", f"{where}.audio", backend)
    role = _ROLES[message.role]
    extra = members(message.extra_json, where)
    content: str | list[Block] = message.content or message.refusal
    if message.content_parts:
        content = [
            _part(part, role, f"{where}.content[{at}]", backend)
            for at, part in enumerate(message.content_parts)
        ]
    if role == "assistant":
        return _assistant(message, content, extra, where, backend)
    made: Block = {"role": role, "content": content}
    if role == "tool":
        # Of functions, which tools replaced, a result names what was called.
        made["tool_call_id"] = message.tool_call_id or message.name
    return {**made, **extra}


def _assistant(
    message: ChatMessage, content: str | list[Block], extra: dict[str, Any], where: str, backend: str
) -> Block:
    calls = [
        _tool_call(call, f"{where}.tool_calls[{at}]", backend) for at, call in enumerate(message.tool_calls)
    ]
    if message.HasField("function_call"):
        calls.append(_called(message.function_call.name, message.function_call))
    text = message.reasoning_content or message.reasoning
    thoughts = thoughts_in(extra.pop(DETAILS, None), text, called=bool(calls))
    if thoughts.blocks:
        said = [{"type": "text", "text": content}] if isinstance(content, str) and content else content
        content = [*({"type": "thinking", "thinking": block} for block in thoughts.blocks), *(said or ())]
    made: Block = {"role": "assistant"}
    if content or not calls:
        made["content"] = content
    if thoughts.plan:
        made["tool_plan"] = thoughts.plan
    if calls:
        made["tool_calls"] = calls
    return {**made, **extra}


def _part(part: ContentPart, role: str, where: str, backend: str) -> Block:
    if part.type not in _PARTS[role]:
        what = f"{part.type or 'untyped'} parts in messages with the role {role}"
        raise unsupported(what, where, backend)
    extra = members(part.extra_json, where)
    if part.type == "document":
        return {"type": "document", **extra}
    if part.type == "image_url":
        image: Block = {"url": part.image_url.url}
        if part.image_url.detail:
            image["detail"] = part.image_url.detail
        image |= members(part.image_url.extra_json, f"{where}.image_url")
        return {"type": "image_url", "image_url": image, **extra}
    return {"type": "text", "text": part.text or part.refusal, **extra}


def _tool_call(call: ToolCall, where: str, backend: str) -> Block:
    if call.HasField("custom") or not call.HasField("function"):
        raise unsupported(f"tool calls of the type {call.type}", f"{where}.type", backend)
    return _called(call.id, call.function) | members(call.extra_json, where)


def _called(call_id: str, function: FunctionCall) -> Block:
    # No text at all is how some models call a tool that takes nothing.
    called = {"name": function.name, "arguments": function.arguments.strip() or "{}"}
    return {"id": call_id, "type": "function", "function": called}
