"""JSON text in pieces: values are cut out and put back verbatim, never parsed and written anew.

So integers of any size, -0.0, 1e400, key order and escapes of what Portico only carries arrive as
they were sent. msgspec does the cutting; it refuses one thing that JSON's grammar allows, an escaped
surrogate without its other half, which some servers do send when they cut an emoji in two. For those
texts alone the standard library does it. All functions raise ValueError for what is not JSON, and
RecursionError for what is nested too deep.
"""

import json
from collections.abc import Iterator, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Final, NoReturn

from msgspec import Raw, ValidationError
from msgspec.json import Decoder, encode

_MEMBERS: Final = Decoder(dict[str, Raw])
_ELEMENTS: Final = Decoder(list[Raw])
_VALUE: Final = Decoder(Raw)

_KINDS: Final = {
    '"': "a string",
    "{": "an object",
    "[": "an array",
    "t": "a boolean",
    "f": "a boolean",
    "n": "null",
}


def members(text: Raw | bytes) -> dict[str, Raw]:
    """Split an object into its members. Of members with one name the last counts."""
    try:
        return _MEMBERS.decode(text)
    except ValidationError:
        raise
    except ValueError:
        if not _has_surrogates(text):
            raise
        return dict(_split(bytes(text).decode()))


def elements(text: Raw | bytes) -> list[Raw]:
    """Split an array into its elements."""
    try:
        return _ELEMENTS.decode(text)
    except ValidationError:
        raise
    except ValueError:
        if not _has_surrogates(text):
            raise
        return [raw for _, raw in _split(bytes(text).decode())]


def verbatim(text: str) -> Raw:
    """Return a text to be put into JSON as it is, when it is one JSON value."""
    try:
        return _VALUE.decode(text)
    except ValueError:
        if not _has_surrogates(Raw(text)) or len(elements(Raw(f"[{text}]"))) != 1:
            raise
        return Raw(text)


def kind(text: Raw) -> str:
    """Name what a value is, in OpenAI's words: "a string", "an integer", …"""
    first = chr(memoryview(text)[0])
    if first in _KINDS:
        return _KINDS[first]
    return "an integer" if bytes(text).removeprefix(b"-").isdigit() else "a decimal"


def spliced(typed: Mapping[str, object], extra: str) -> bytes:
    """Write an object of ``typed`` members and those of the JSON object ``extra``."""
    inner = extra.strip()[1:-1]
    if not inner.strip():
        return encode(typed)
    return b"%b%b%b}" % (encode(typed)[:-1], b"," if typed else b"", inner.encode())


def _has_surrogates(text: Raw | bytes) -> bool:
    """Tell whether a lone surrogate can be why msgspec refused a text."""
    return b"\\ud" in bytes(text).lower()


def _split(text: str) -> Iterator[tuple[str, Raw]]:
    """Split an object or an array; the elements of an array have no names."""
    at = _blank(text, 0)
    opening = text[at : at + 1]
    closing = {"{": "}", "[": "]"}.get(opening) or _refuse(at)
    at = _blank(text, at + 1)
    more = text[at : at + 1] != closing
    while more:
        name = ""
        if opening == "{":
            at = _expect(text, at, '"')
            name, at = scanstring(text, at, True)
            at = _blank(text, _expect(text, _blank(text, at), ":"))
        _, end = _SCANNER.raw_decode(text, at)
        yield name, Raw(text[at:end])
        at = _blank(text, end)
        more = text[at : at + 1] == ","
        if more:
            at = _blank(text, at + 1)
    at = _blank(text, _expect(text, at, closing))
    if at != len(text):
        _refuse(at)


def _blank(text: str, at: int) -> int:
    """Return the place of the next character that is no blank."""
    while at < len(text) and text[at] in " \t\n\r":
        at += 1
    return at


def _expect(text: str, at: int, character: str) -> int:
    return at + 1 if text[at : at + 1] == character else _refuse(at)


def _refuse(at: int | str) -> NoReturn:
    raise ValueError(f"JSON is malformed: invalid character (byte {at})")


# Numbers need no value here: only where they end counts, and int() refuses more than 4,300 digits.
_SCANNER: Final = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)
