"""An unstreamed answer out of the messages of a streamed one."""

import json
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.gateway_pb2 import StreamResponse

# Texts that come in pieces. Any other value that comes twice replaces the first.
_IN_PIECES: Final = frozenset(
    ("content", "reasoning_content", "reasoning", "refusal", "arguments", "input", "data", "transcript")
)
# The same in the entries of a vendor's lists.
_ENTRIES_IN_PIECES: Final = ("text", "summary")
# Where the members of a stream stand under another name in the whole answer.
_NAMES: Final = {"delta": "message"}


def assemble(messages: Iterable[StreamResponse]) -> ChatCompletion:
    """Return what a stream amounts to, its choices in the order of their indexes.

    Pieces of a tool call are joined by their index, which the call keeps.
    """
    completion = ChatCompletion()
    choices: dict[int, ChatChoice] = {}
    for message in messages:
        _add(message.header, completion)
        for chunk in message.chunks:
            if chunk.HasField("usage"):
                completion.usage.CopyFrom(chunk.usage)
            for piece in chunk.choices:
                _add(piece, choices.setdefault(piece.index, ChatChoice()))
    completion.choices.extend(choices[index] for index in sorted(choices))
    return completion


def said_by(completion: ChatCompletion) -> list[dict[str, Any]]:
    """Return the choices as plain values, so that they compare however their JSON is written."""
    said = [MessageToDict(choice, preserving_proto_field_name=True) for choice in completion.choices]
    for each in said:
        _read_extra(each)
    return said


def _read_extra(value: Any) -> None:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _read_extra(inner)
    if isinstance(value, dict) and isinstance(text := value.get("extra_json"), str):
        value["extra_json"] = json.loads(text)


def _add(piece: Message, whole: Message) -> None:
    for field, value in piece.ListFields():
        name = _NAMES.get(field.name, field.name)
        if name == "tool_calls":
            for call in value:
                _add(call, _numbered(whole, call.index))
        elif field.is_repeated:
            getattr(whole, name).extend(value)
        elif field.message_type is not None:
            getattr(whole, name).SetInParent()
            _add(value, getattr(whole, name))
        else:
            setattr(whole, name, _joined(name, getattr(whole, name), value))


def _joined(name: str, before: str, value: Any) -> Any:
    if name in _IN_PIECES:
        return before + value
    if name == "extra_json" and before:
        members = json.loads(before)
        for member, piece in json.loads(value).items():
            members[member] = _grown(members.get(member), piece)
        return json.dumps(members, ensure_ascii=False)
    return value


def _grown(before: Any, piece: Any) -> Any:
    """Return a vendor's member: lists grow, in objects too, and entries of one ``index`` are one.

    As SDKs have it.

    Null takes nothing back: OpenRouter sends it behind the last chunk of a choice.
    """
    if piece is None:
        return before
    if isinstance(before, dict) and isinstance(piece, dict):
        return before | {name: _grown(before.get(name), value) for name, value in piece.items()}
    if not (isinstance(before, list) and isinstance(piece, list)):
        return piece
    grown = list(before)
    for entry in piece:
        at = _place(grown, entry)
        if at is None:
            grown.append(entry)
        else:
            texts = {name: grown[at].get(name, "") + entry.get(name, "") for name in _ENTRIES_IN_PIECES}
            grown[at] = {**grown[at], **entry, **{name: text for name, text in texts.items() if text}}
    return grown


def _place(entries: list[Any], entry: Any) -> int | None:
    """Return where the entry with the index of ``entry`` is."""
    if not isinstance(entry, dict) or "index" not in entry:
        return None
    indexes = [each.get("index") if isinstance(each, dict) else None for each in entries]
    return indexes.index(entry["index"]) if entry["index"] in indexes else None


def _numbered(message: Any, index: int) -> Message:
    calls = message.tool_calls
    found: Message | None = next((call for call in calls if call.index == index), None)
    return calls.add(index=index) if found is None else found
