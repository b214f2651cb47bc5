"""An unstreamed answer out of the messages of a streamed one."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import Message

from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.gateway_pb2 import StreamResponse

# Texts that come in pieces. Any other value that comes twice replaces the first.
_IN_PIECES: Final = frozenset(
    ("content", "reasoning_content", "reasoning", "refusal", "arguments", "input", "data", "transcript")
)
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
            setattr(whole, name, getattr(whole, name) + value if name in _IN_PIECES else value)


def _numbered(message: Any, index: int) -> Message:
    calls = message.tool_calls
    found: Message | None = next((call for call in calls if call.index == index), None)
    return calls.add(index=index) if found is None else found
