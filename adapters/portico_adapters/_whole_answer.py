"""Whole completions as the chunks that a stream of them would have: some servers ignore ``stream``. Pure.

Values are carried as they were written.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw
from msgspec.json import Decoder, encode

_Object: TypeAlias = dict[str, Raw]

_OBJECT: Final = Decoder(_Object)
_OBJECTS: Final = Decoder(list[_Object])


def chat_chunks(body: bytes) -> list[bytes]:
    """Return the chunks of a chat completion: roles, messages, ends, usage. None of what is no completion."""
    try:
        whole = _OBJECT.decode(body)
        choices = _OBJECTS.decode(whole.pop("choices"))
        messages = [_OBJECT.decode(choice.pop("message")) for choice in choices]
        deltas = [_delta(message) for message in messages]
    except (KeyError, ValueError, RecursionError):
        return []
    usage = whole.pop("usage", None)
    envelope = {**whole, "object": "chat.completion.chunk"}
    places = [{"index": choice.pop("index", number)} for number, choice in enumerate(choices)]
    ends = [choice.pop("finish_reason", None) for choice in choices]
    roles = [message.get("role", "assistant") for message in messages]
    return _encoded(
        envelope,
        [{**place, "delta": {"role": role}} for place, role in zip(places, roles, strict=True)],
        [
            {**place, **more, "delta": delta}
            for place, more, delta in zip(places, choices, deltas, strict=True)
        ],
        [{**place, "delta": {}, "finish_reason": end} for place, end in zip(places, ends, strict=True)],
        usage=usage,
    )


def text_chunks(body: bytes) -> list[bytes]:
    """Return the chunks of a text completion, whose choices are the same in a stream: all, and usage."""
    try:
        whole = _OBJECT.decode(body)
        choices = _OBJECTS.decode(whole.pop("choices"))
    except (KeyError, ValueError, RecursionError):
        return []
    if not choices or not all("text" in choice for choice in choices):
        return []
    usage = whole.pop("usage", None)
    places = [{"index": number, **choice} for number, choice in enumerate(choices)]
    return _encoded(whole, places, usage=usage)


def _delta(message: _Object) -> dict[str, Any]:
    """Return a message as the only delta of its choice: there, tool calls have their place as a member."""
    delta: dict[str, Any] = {name: value for name, value in message.items() if name != "role"}
    calls = _tool_calls(message)
    return {**delta, "tool_calls": calls} if calls else delta


def _tool_calls(message: _Object) -> list[Mapping[str, Any]]:
    told = message.get("tool_calls")
    calls = None if told is None else msgspec.json.decode(told, type=list[_Object] | None)
    return [{"index": number, **call} for number, call in enumerate(calls or ())]


def _encoded(envelope: Mapping[str, Any], *steps: list[dict[str, Any]], usage: Raw | None) -> list[bytes]:
    """Return a chunk for each step, which is a list of choices, and one with the usage if there is any."""
    chunks = [{**envelope, "choices": choices} for choices in steps if choices]
    told = [] if usage is None or not chunks else [{**envelope, "choices": [], "usage": usage}]
    return [encode(chunk) for chunk in (*chunks, *told)]
