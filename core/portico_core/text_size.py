"""How much text a message holds, in bytes of UTF-8: what an estimate of its tokens starts from. Pure."""

from typing import Final

from google.protobuf.message import Message

#: The fields, wherever they stand, whose text a model reads or writes. Not in it: ids, types, and what
#: stands for pictures, sound and files, whose tokens no text tells.
_TEXTS: Final = frozenset(
    {
        *("content", "text", "refusal", "reasoning_content", "reasoning", "transcript"),
        *("name", "description", "parameters_json", "format_json", "schema_json", "arguments", "input"),
    }
)


def of(message: Message) -> int:
    """Return the bytes of all texts in a message and in those inside it."""
    size = 0
    for field, value in message.ListFields():
        if field.message_type is None:
            size += of_text(value) if field.name in _TEXTS else 0
        elif not field.message_type.GetOptions().map_entry:
            size += sum(map(of, value)) if field.is_repeated else of(value)
    return size


def of_text(text: str) -> int:
    """Return the bytes of a text."""
    return len(text) if text.isascii() else len(text.encode())
