"""Vendors' own members in the ``extra_json`` of chunks, put together. Pure.

Values are cut out of the text and put back as they were written. Without msgspec, which the client does not
need otherwise.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final

# Numbers stay texts: they are not looked at, and may be larger than Python's.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)

# The same as absent (gateway.proto), also where something stood before.
_NULL: Final = "null"


def latest_members(texts: Iterable[str]) -> str:
    """Return the members of all texts; of those with one name the last counts that is not null."""
    return _merged(texts, lambda _, after: after)


def joined_members(texts: Iterable[str]) -> str:
    """Return the members of all texts; of those with one name strings, lists and objects are joined.

    So do SDKs with what a delta holds. Of other members the last counts that is not null.
    """
    return _merged(texts, _joined)


def _merged(texts: Iterable[str], merge: Callable[[str, str], str]) -> str:
    members: dict[str, str] = {}
    for text in filter(None, texts):
        for name, value in _members(text).items():
            if name not in members or members[name] == _NULL:
                members[name] = value
            elif value != _NULL:
                members[name] = merge(members[name], value)
    pairs = (f"{json.dumps(name)}:{value}" for name, value in members.items())
    return f"{{{','.join(pairs)}}}" if members else ""


def _joined(before: str, after: str) -> str:
    kinds = before[0] + after[0]
    if kinds == '""':
        return json.dumps(json.loads(before) + json.loads(after), ensure_ascii=False)
    if kinds == "[[":
        inside = (each[1:-1].strip() for each in (before, after))
        return f"[{','.join(filter(None, inside))}]"
    if kinds == "{{":
        try:
            return joined_members((before, after)) or after
        except RecursionError:
            # Nested deeper than anybody reads.
            return after
    return after


def _members(text: str) -> dict[str, str]:
    """Split an object; what is none, from a server that breaks the contract, has no members."""
    try:
        return dict(_pairs(text)) if isinstance(_DECODER.decode(text), dict) else {}
    except (ValueError, RecursionError):
        return {}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the members of an object."""
    at = _blank(text, 0)
    while text[at] != "}":
        at = _blank(text, at + 1)  # behind { or ,
        if text[at] == "}":
            return
        name, end = _DECODER.raw_decode(text, at)
        start = _blank(text, _blank(text, end) + 1)  # behind :
        _, end = _DECODER.raw_decode(text, start)
        yield name, text[start:end]
        at = _blank(text, end)


def _blank(text: str, at: int) -> int:
    """Return where the blanks from ``at`` on end."""
    while text[at] in " \t\r\n":
        at += 1
    return at
