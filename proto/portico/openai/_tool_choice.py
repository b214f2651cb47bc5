"""``tool_choice``, and the ``function_call`` of old clients: a word, or one of several objects."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.openai import _values
from portico.openai._json import kind
from portico.openai._values import wrong_type
from portico.v1.tools_pb2 import AllowedTools, ToolChoice

NAME: Final = ToolChoice.DESCRIPTOR.full_name


# The objects that ToolChoice has fields for. One with any other member is carried verbatim.


class _Name(Struct, forbid_unknown_fields=True):
    name: str


class _Function(Struct, forbid_unknown_fields=True, tag_field="type", tag="function"):
    function: _Name


class _Custom(Struct, forbid_unknown_fields=True, tag_field="type", tag="custom"):
    custom: _Name


class _Allowed(Struct, forbid_unknown_fields=True):
    mode: str | None = None
    tools: Raw = Raw(b"null")


class _AllowedTools(Struct, forbid_unknown_fields=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: _Allowed


_TOOL_CHOICE: Final = Decoder(_Function | _Custom | _AllowedTools)
_FUNCTION_CALL: Final = Decoder(_Name)


def codec(member: str) -> tuple[Callable[[Raw, Any], None], Callable[[Any, Any], object]]:
    """Return what reads the member into a message of parameters, and what writes its value."""
    decoder = _FUNCTION_CALL if member == "function_call" else _TOOL_CHOICE

    def read(raw: Raw, message: Any) -> None:
        found = kind(raw)
        if found == "a string":
            getattr(message, member).mode = _values.string(raw)
        elif found == "an object":
            getattr(message, member).CopyFrom(_choice(raw, decoder))
        elif found != "null":
            raise wrong_type("one of a string or object", raw)

    def write(value: ToolChoice, _: Any) -> object:
        chosen = value.WhichOneof("choice")
        if chosen == "function_name" and member == "function_call":
            return {"name": value.function_name}
        return None if chosen is None else _WRITERS[chosen](value)

    return read, write


def _choice(raw: Raw, decoder: Decoder[Any]) -> ToolChoice:
    try:
        match decoder.decode(raw):
            case _Name(name) | _Function(_Name(name)):
                return ToolChoice(function_name=name)
            case _Custom(_Name(name)):
                return ToolChoice(custom_name=name)
            case _AllowedTools(_Allowed(mode, tools)):
                return ToolChoice(allowed_tools=AllowedTools(mode=mode, tools_json=_values.json_text(tools)))
    except ValueError:
        pass
    return ToolChoice(other_json=bytes(raw).decode())


def _allowed(value: ToolChoice) -> object:
    found: dict[str, object] = {}
    if value.allowed_tools.HasField("mode"):
        found["mode"] = value.allowed_tools.mode
    if value.allowed_tools.HasField("tools_json"):
        found["tools"] = _values.carried(value.allowed_tools.tools_json)
    return {"type": "allowed_tools", "allowed_tools": found}


_WRITERS: Final[dict[str, Callable[[ToolChoice], object]]] = {
    "mode": lambda value: value.mode,
    "function_name": lambda value: {"type": "function", "function": {"name": value.function_name}},
    "custom_name": lambda value: {"type": "custom", "custom": {"name": value.custom_name}},
    "allowed_tools": _allowed,
    "other_json": lambda value: _values.carried(value.other_json),
}
