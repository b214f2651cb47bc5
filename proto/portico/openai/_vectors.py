"""Vectors of embeddings: JSON numbers, or base64 of little-endian float32; and from each the other."""

import base64
import sys
from array import array
from binascii import Error
from collections.abc import Callable, Iterable
from math import isinf
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.openai import _values
from portico.openai._json import kind
from portico.openai._values import MismatchError, wrong_type
from portico.v1.embeddings_pb2 import DoubleVector

NAME: Final = DoubleVector.DESCRIPTOR.full_name
TAKES: Final = "an array of numbers"

_NUMBERS: Final = Decoder(list[float])
_SWAPPED: Final = sys.byteorder == "big"


def codec(member: str) -> tuple[Callable[[Raw, Any], None], Callable[[Any, Any], object]]:
    """Return what reads a vector into a field, and what writes it."""

    def read(raw: Raw, message: Any) -> None:
        try:
            values = _NUMBERS.decode(raw)
        except ValueError:
            raise wrong_type(TAKES, raw) from None
        getattr(message, member).values.extend(values)
        getattr(message, member).SetInParent()

    return read, lambda value, _: list(value.values)


def float32(raw: Raw) -> bytes | None:
    """Read base64 of float32s. Refuse what would not come out as it went in."""
    text = _values.string(raw)
    if text is None:
        return None
    try:
        found = base64.b64decode(text, validate=True)
    except (Error, ValueError):
        found = b""
    if not found or len(found) % 4 or text_of(found) != text:
        raise MismatchError("Invalid", f": expected base64 of float32, but got {kind(raw)}.", "invalid_value")
    return found


def text_of(float32_le: bytes) -> str:
    """Return a vector's bytes as base64."""
    return base64.b64encode(float32_le).decode()


def numbers(float32_le: bytes) -> list[float]:
    """Return the exact values of float32s."""
    values = array("f", float32_le)
    if _SWAPPED:
        values.byteswap()
    return values.tolist()


def packed(values: Iterable[float]) -> str | list[float]:
    """Return a vector as base64 of float32; as numbers where float32 is too small for one of them.

    Backends compute in float32 or less, so that their numbers, however written, lose nothing by it.
    """
    found = list(values)
    small = array("f", found)
    if any(map(isinf, small)):
        return found
    if _SWAPPED:
        small.byteswap()
    return text_of(small.tobytes())
