"""Messages of OpenAI's API as Ollama's: texts and images apart, tool calls with objects as arguments."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from portico.errors import unsupported
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.tools_pb2 import ToolCall
from portico_adapters._json import members
from portico_adapters._media import inline

# Templates pass over a role that they do not know, and its message with it: no other is let through.
_ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def messages_of(messages: Sequence[ChatMessage], backend: str) -> list[dict[str, object]]:
    """Return a conversation; raise 400, naming ``backend``, where Ollama cannot take part of it."""
    # What the calls so far called, by their ids: Ollama pairs results with calls by the tool's name.
    called: dict[str, str] = {}
    translated = []
    for index, message in enumerate(messages):
        called |= {call.id: call.function.name for call in message.tool_calls}
        translated.append(_message(message, f"messages[{index}]", called, backend))
    return translated


def _message(message: ChatMessage, where: str, called: Mapping[str, str], backend: str) -> dict[str, object]:
    if message.role not in _ROLES:
        raise unsupported(f"messages with the role {message.role}", f"{where}.role", backend)
    for name in ("audio", "function_call"):
        if message.HasField(name):
            raise unsupported(f"{name} in messages", f"{where}.{name}", backend)
    # A refusal is what the assistant said instead of content.
    text, images = message.content or message.refusal, list[str]()
    if message.content_parts:
        text, images = _content(message.content_parts, f"{where}.content", backend)
    translated: dict[str, object] = {"role": _ROLES[message.role], "content": text}
    if images:
        translated["images"] = images
    if thinking := message.reasoning_content or message.reasoning:
        translated["thinking"] = thinking
    if message.tool_calls:
        translated["tool_calls"] = [
            _tool_call(call, f"{where}.tool_calls[{index}]", backend)
            for index, call in enumerate(message.tool_calls)
        ]
    return {**translated, **_names(message, called), **members(message.extra_json, f"{where}.extra_json")}


def _names(message: ChatMessage, called: Mapping[str, str]) -> dict[str, str]:
    if message.role != "tool":
        return {"name": message.name} if message.name else {}
    name = message.name or called.get(message.tool_call_id)
    # Newer servers read the id as well.
    found = {"tool_name": name, "tool_call_id": message.tool_call_id}
    return {member: value for member, value in found.items() if value}


def _content(parts: Sequence[ContentPart], where: str, backend: str) -> tuple[str, list[str]]:
    """Return the text of the parts, a line break between two of them, and their images as base64."""
    texts, images = [], []
    for index, part in enumerate(parts):
        if part.type in ("text", "refusal"):
            texts.append(part.text or part.refusal)
        elif part.type == "image_url":
            image = inline(part.image_url.url)
            if image is None or image.media_type.partition("/")[0] not in ("", "image"):
                place = f"{where}[{index}].image_url.url"
                raise unsupported("images other than base64 data: URLs", place, backend)
            images.append(image.data)
        else:
            raise unsupported(f"{part.type or 'untyped'} parts of content", f"{where}[{index}]", backend)
    return "\n".join(texts), images


def _tool_call(call: ToolCall, where: str, backend: str) -> dict[str, Any]:
    if call.HasField("custom") or not call.HasField("function"):
        raise unsupported(f"tool calls of the type {call.type}", f"{where}.type", backend)
    # No text at all is how some models call a tool that takes nothing.
    arguments = members(call.function.arguments.strip(), f"{where}.function.arguments")
    return {
        **({"id": call.id} if call.id else {}),
        "function": {"name": call.function.name, "arguments": arguments},
        **members(call.extra_json, f"{where}.extra_json"),
    }
