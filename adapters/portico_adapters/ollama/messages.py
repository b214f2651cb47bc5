"""Messages of OpenAI's API as Ollama's: texts and images apart, tool calls with objects as arguments."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.tools_pb2 import ToolCall
from portico_adapters.ollama.requests import members, refused

# Templates pass over a role that they do not know, and its message with it: no other is let through.
_ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

_IMAGE: Final = re.compile(r"data:(image/[\w.+-]+)?(;[\w=.+-]+)*;base64,", re.ASCII | re.IGNORECASE)


def messages_of(messages: Sequence[ChatMessage]) -> list[dict[str, object]]:
    """Return a conversation; raise 400 where Ollama cannot take part of it."""
    # What the calls so far called, by their ids: Ollama pairs results with calls by the tool's name.
    called: dict[str, str] = {}
    translated = []
    for index, message in enumerate(messages):
        called |= {call.id: call.function.name for call in message.tool_calls}
        translated.append(_message(message, f"messages[{index}]", called))
    return translated


def _message(message: ChatMessage, where: str, called: Mapping[str, str]) -> dict[str, object]:
    if message.role not in _ROLES:
        raise refused(f"messages with the role {message.role}", f"{where}.role")
    for name in ("audio", "function_call"):
        if message.HasField(name):
            raise refused(f"{name} in messages", f"{where}.{name}")
    # A refusal is what the assistant said instead of content.
    text, images = message.content or message.refusal, list[str]()
    if message.content_parts:
        text, images = _content(message.content_parts, f"{where}.content")
    translated: dict[str, object] = {"role": _ROLES[message.role], "content": text}
    if images:
        translated["images"] = images
    if thinking := message.reasoning_content or message.reasoning:
        translated["thinking"] = thinking
    if message.tool_calls:
        translated["tool_calls"] = [
            _tool_call(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(message.tool_calls)
        ]
    return {**translated, **_names(message, called), **members(message.extra_json, f"{where}.extra_json")}


def _names(message: ChatMessage, called: Mapping[str, str]) -> dict[str, str]:
    if message.role != "tool":
        return {"name": message.name} if message.name else {}
    name = message.name or called.get(message.tool_call_id)
    # Newer servers read the id as well.
    found = {"tool_name": name, "tool_call_id": message.tool_call_id}
    return {member: value for member, value in found.items() if value}


def _content(parts: Sequence[ContentPart], where: str) -> tuple[str, list[str]]:
    """Return the text of the parts, a line break between two of them, and their images as base64."""
    texts, images = [], []
    for index, part in enumerate(parts):
        if part.type in ("text", "refusal"):
            texts.append(part.text or part.refusal)
        elif part.type == "image_url":
            images.append(_image(part.image_url.url, f"{where}[{index}].image_url.url"))
        else:
            raise refused(f"{part.type or 'untyped'} parts of content", f"{where}[{index}]")
    return "\n".join(texts), images


def _image(url: str, where: str) -> str:
    prefix = _IMAGE.match(url)
    if prefix is None:
        raise refused("images other than base64 data: URLs", where)
    return url[prefix.end() :]


def _tool_call(call: ToolCall, where: str) -> dict[str, Any]:
    if call.HasField("custom") or not call.HasField("function"):
        raise refused(f"tool calls of the type {call.type}", f"{where}.type")
    # No text at all is how some models call a tool that takes nothing.
    arguments = members(call.function.arguments.strip(), f"{where}.function.arguments")
    return {
        **({"id": call.id} if call.id else {}),
        "function": {"name": call.function.name, "arguments": arguments},
        **members(call.extra_json, f"{where}.extra_json"),
    }
