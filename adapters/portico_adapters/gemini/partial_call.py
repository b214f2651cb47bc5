"""A call whose arguments come in pieces, each with its place in them. Pure.

Vertex alone sends them, where ``toolConfig.functionCallingConfig.streamFunctionCallArguments`` asks for it:
the name first, then ``partialArgs``, then a call that says nothing. Source: google-genai's types FunctionCall
and PartialArg. OpenAI's pieces are those of the arguments' text, which cannot be told before they are whole:
members may be filled in turns. So the call goes out when it has ended.
"""

import re
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from portico.errors import GatewayError
from portico_adapters._reading import unreadable

# One step of a JSON path (RFC 9535): .name, ['name'], ["name"] or [0].
# Possessive: what may be given back again is remembered, in 130 bytes for each of a name.
_STEP: Final = re.compile(
    r"""\.([^.\[\]]+)|\['((?:[^'\\]++|\\.)*+)'\]|\["((?:[^"\\]++|\\.)*+)"\]|\[(\d{1,9})\]"""
)
_ESCAPED: Final = re.compile(r"\\(.)")
# More is no place in arguments that anybody writes.
_DEEPEST: Final = 64


class PartialArg(Struct, rename="camel"):
    """A piece of one value."""

    json_path: str
    #: A piece of a text; those of one path belong together.
    string_value: str | UnsetType = UNSET
    number_value: int | float | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    #: "NULL_VALUE"; present where the value is null.
    null_value: Any = UNSET


class PartialCall:
    """A call that has begun."""

    def __init__(self, name: str, call_id: str | None) -> None:
        self.name = name
        self.id = call_id
        self.signature: str | None = None
        #: In a list, so that its root is replaced like any other value.
        self._root: list[Any] = [{}]

    @property
    def args(self) -> Any:
        """What has come of the arguments."""
        return self._root[0]

    def take(self, piece: PartialArg) -> None:
        """Put a piece where it belongs; raise 502 where that is nowhere."""
        where: Any = self._root
        key: str | int = 0
        for step in _steps(piece.json_path):
            here = _at(where, key)
            if here is None:
                here = [] if isinstance(step, int) else {}
                _set(where, key, here, piece.json_path)
            where, key = here, step
        value = _value(piece)
        before = _at(where, key)
        joins = isinstance(before, str) and isinstance(value, str)
        _set(where, key, before + value if joins else value, piece.json_path)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(path) and len(steps) < _DEEPEST and (found := _STEP.match(path, at)):
        name, single, double, index = found.groups()
        quoted = single if single is not None else double
        steps.append(int(index) if index else name or _ESCAPED.sub(r"\1", quoted))
        at = found.end()
    if not path.startswith("$") or at < len(path):
        raise _nowhere(path)
    return steps


def _at(where: Any, key: str | int) -> Any:
    if isinstance(where, dict):
        return where.get(key)
    fits = isinstance(where, list) and isinstance(key, int) and key < len(where)
    return where[key] if fits else None


def _set(where: Any, key: str | int, value: Any, path: str) -> None:
    if isinstance(where, dict) and isinstance(key, str):
        where[key] = value
    elif isinstance(where, list) and isinstance(key, int) and key <= len(where):
        # Lists are filled in order: a place far beyond the end is nobody's.
        where[key : key + 1] = [value]
    else:
        raise _nowhere(path)


def _value(piece: PartialArg) -> Any:
    told = (piece.string_value, piece.number_value, piece.bool_value)
    return next((value for value in told if value is not UNSET), None)


def _nowhere(path: str) -> GatewayError:
    return unreadable(f"partialArgs at {path[:80]}")
