"""Members of a request that the contract has no field for, at every depth (gateway.proto, rule 4). Pure."""

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_EXTRA: Final = "extra_json"
# Members of JSON that have another name than their field (gateway.proto, rule 1).
_JSON_NAMES: Final[Mapping[str, str]] = {
    "content_parts": "content",
    "stop_is_text": "stop",
    "custom_voice": "voice",
}
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Kind(Enum):
    """What a field means here."""

    EXTRA = "extra_json itself"
    MESSAGE = "a message, which may have extra_json"
    MESSAGES = "a list of messages"
    OTHER = "nothing"


@cache
def _kind(field: FieldDescriptor) -> _Kind:
    if field.name == _EXTRA:
        return _Kind.EXTRA
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return _Kind.OTHER
    return _Kind.MESSAGES if field.is_repeated else _Kind.MESSAGE


def holders(message: Message, path: str = "") -> Iterator[tuple[Message, str]]:
    """Yield the messages that have some, each with its place: ``messages[0].``, or nothing for itself."""
    for field, value in message.ListFields():
        kind = _kind(field)
        if kind is _Kind.EXTRA:
            yield message, path
        elif kind is _Kind.MESSAGE:
            yield from holders(value, f"{path}{json_name(field)}.")
        elif kind is _Kind.MESSAGES:
            for index, each in enumerate(value):
                yield from holders(each, f"{path}{json_name(field)}[{index}].")


def names(holder: Any) -> list[str]:
    """Return the names of those that a message has. Raise ValueError where its text is no JSON object."""
    try:
        return list(_MEMBERS.decode(holder.extra_json))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


def json_name(field: FieldDescriptor) -> str:
    """Return the name that a field has in JSON."""
    return _JSON_NAMES.get(field.name, field.name.removesuffix("_json"))
