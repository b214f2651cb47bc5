"""Messages of a conversation as a provider wants them: roles, ids of tool calls, earlier reasoning. Pure."""

import string
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from msgspec import Raw
from msgspec.json import decode, encode

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico_adapters._flavours.parts import thinking_parts
from portico_adapters._flavours.row import Flavour, Thoughts
from portico_adapters._json import members

_LETTERS: Final = string.digits + string.ascii_letters


def retell(flavour: Flavour, params: ChatCompletionParams) -> None:
    """Change the messages of ``params``."""
    for message in params.messages:
        if message.role in flavour.roles:
            message.role = flavour.roles[message.role]
        if flavour.tool_id_length:
            _rename_calls(message, flavour.tool_id_length)
    _tell_thoughts(flavour.thoughts, params.messages)


def tool_id(told: str, length: int) -> str:
    """Return an id of ``length`` letters and digits: the same for the same id, which may be any text."""
    if len(told) == length and told.isascii() and told.isalnum():
        return told
    number = int.from_bytes(sha256(told.encode()).digest())
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(length))


def _rename_calls(message: ChatMessage, length: int) -> None:
    for call in message.tool_calls:
        call.id = tool_id(call.id, length)
    if message.HasField("tool_call_id"):
        message.tool_call_id = tool_id(message.tool_call_id, length)


def _tell_thoughts(how: Thoughts, messages: Sequence[ChatMessage]) -> None:
    if how is Thoughts.AS_THEY_ARE:
        return
    calls_tools = _turns_with_tools(messages)
    for message, calls in zip(messages, calls_tools, strict=True):
        thought = message.reasoning_content or message.reasoning
        details = how is Thoughts.PARTS and '"reasoning_details"' in message.extra_json
        told = message.HasField("reasoning_content") or message.HasField("reasoning") or details
        if message.role != "assistant" or not told:
            continue
        message.ClearField("reasoning_content")
        message.ClearField("reasoning")
        if how is Thoughts.REASONING:
            message.reasoning = thought
        elif how is Thoughts.WITH_TOOLS and calls:
            message.reasoning_content = thought
        elif how is Thoughts.PARTS:
            _think_in_parts(message, thought)


def _turns_with_tools(messages: Sequence[ChatMessage]) -> list[bool]:
    """Return for each message whether the assistant calls a tool before the next user speaks."""
    found: list[bool] = []
    calls = False
    starts = 0
    for at, message in enumerate(messages):
        if message.role == "user":
            found += [calls] * (at - starts)
            starts, calls = at, False
        calls = calls or bool(message.tool_calls)
    return found + [calls] * (len(messages) - starts)


def _think_in_parts(message: ChatMessage, thought: str) -> None:
    extra = members(message.extra_json, "extra_json")
    told = extra.pop("reasoning_details", None)
    message.extra_json = encode(extra).decode() if extra else ""
    thoughts = thinking_parts(thought, None if told is None else _decoded(told))
    if not thoughts:
        return
    parts = list(message.content_parts)
    if message.content:
        parts.append(ContentPart(type="text", text=message.content))
    message.ClearField("content")
    del message.content_parts[:]
    for part in thoughts:
        message.content_parts.add(type="thinking", extra_json=encode(part).decode())
    message.content_parts.extend(parts)


def _decoded(details: Raw) -> object:
    try:
        return decode(details)
    except (ValueError, RecursionError):
        # What nobody can read signs nothing.
        return None
