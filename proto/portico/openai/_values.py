"""What a field takes: functions from JSON text to a Python value.

Each returns None for null, and raises ``MismatchError`` for a value of another type. The usual value
costs one call of a typed decoder; only what it refuses is looked at again, to say what is wrong or,
where the decoder is stricter than the contract (1.0 is an integer), to read it after all.
"""

from collections.abc import Callable, Sized
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Raw
from msgspec.json import Decoder

from portico.openai._json import elements, kind, members, verbatim

T = TypeVar("T")

#: Bounds of int64.
LEAST: Final = -(2**63)
MOST: Final = 2**63 - 1
Int64 = Annotated[int, Meta(ge=LEAST, le=MOST)]

#: Far above any conversation. A body of nothing but empty objects would hold up all other calls for seconds.
MOST_OBJECTS: Final = 100_000

_STRING: Final[Decoder[str | None]] = Decoder(str | None)
_BOOLEAN: Final[Decoder[bool | None]] = Decoder(bool | None)
_INTEGER: Final[Decoder[int | None]] = Decoder(Int64 | None)
_NUMBER: Final[Decoder[float | None]] = Decoder(float | None)
_OCTETS: Final[Decoder[list[int] | None]] = Decoder(list[Annotated[int, Meta(ge=0, le=255)]] | None)
_STRINGS: Final[Decoder[list[str] | None]] = Decoder(list[str] | None)
_INTEGERS: Final[Decoder[list[int] | None]] = Decoder(list[Int64] | None)
_NUMBERS_BY_NAME: Final[Decoder[dict[str, float] | None]] = Decoder(dict[str, float] | None)
_STRINGS_BY_NAME: Final[Decoder[dict[str, str] | None]] = Decoder(dict[str, str] | None)
_MEMBERS: Final[Decoder[dict[str, Raw] | None]] = Decoder(dict[str, Raw] | None)
_OBJECTS: Final[Decoder[list[dict[str, Raw]] | None]] = Decoder(list[dict[str, Raw]] | None)
_NULL: Final = Raw(b"null")


class MismatchError(Exception):
    """A value does not fit its field. The path grows while the exception climbs up."""

    def __init__(self, before: str, after: str, code: str) -> None:
        super().__init__(before, after, code)
        self.code = code
        self._words = (before, after)
        self._steps: list[str] = []

    def under(self, step: str) -> "MismatchError":
        """Put ``.name`` or ``[index]`` before the path."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """Where the value stands, as OpenAI writes it: ``messages[0].role``."""
        return "".join(reversed(self._steps)).removeprefix(".")

    def __str__(self) -> str:
        return f"{self._words[0]} '{self.path}'{self._words[1]}"


def wrong_type(expected: str, raw: Raw) -> MismatchError:
    """Say in OpenAI's words that ``raw`` is of another type than ``expected``."""
    after = f": expected {expected}, but got {kind(raw)} instead."
    return MismatchError("Invalid type for", after, "invalid_type")


def missing() -> MismatchError:
    """Say in OpenAI's words that a member must be there."""
    return MismatchError("Missing required parameter:", ".", "missing_required_parameter")


def string(raw: Raw) -> str | None:
    try:
        return _STRING.decode(raw)
    except ValueError:
        raise _unfit(raw, "a string", ": the string is not valid Unicode.") from None


def boolean(raw: Raw) -> bool | None:
    try:
        return _BOOLEAN.decode(raw)
    except ValueError:
        raise wrong_type("a boolean", raw) from None


def number(raw: Raw) -> float | None:
    try:
        return _NUMBER.decode(raw)
    except ValueError:
        expected = "an integer" if kind(raw) == "an integer" else "a decimal"
        raise _unfit(raw, expected, ": the number is out of range.") from None


def integer(raw: Raw) -> int | None:
    try:
        return _INTEGER.decode(raw)
    except ValueError:
        if kind(raw) == "a decimal":
            value = number(raw)
            if value is not None and value.is_integer() and LEAST <= value <= MOST:
                return int(value)
        raise _unfit(raw, "an integer", ": the integer is out of range.") from None


def json_text(raw: Raw) -> str | None:
    """Any value, verbatim."""
    return None if raw == _NULL else bytes(raw).decode()


def carried(text: str) -> Raw:
    """The way back from ``json_text``: a text goes into JSON as it is, if it is one value and no more."""
    try:
        return verbatim(text)
    except ValueError:
        raise MismatchError("Invalid", ": the text is not JSON.", "invalid_json") from None


def obj(raw: Raw) -> dict[str, Raw] | None:
    """Any object, split into its members."""
    try:
        return _MEMBERS.decode(raw)
    except ValueError:
        return _members(raw)


def strings(raw: Raw) -> list[str] | None:
    try:
        return _STRINGS.decode(raw)
    except ValueError:
        return _each(raw, string, "an array of strings", "a string")


def integers(raw: Raw) -> list[int] | None:
    try:
        return _INTEGERS.decode(raw)
    except ValueError:
        return _each(raw, integer, "an array of integers", "an integer")


def objects(raw: Raw) -> list[dict[str, Raw]] | None:
    try:
        found = _OBJECTS.decode(raw)
    except ValueError:
        found = _each(raw, obj, "an array of objects", "an object")
    if found is not None:
        bound(found)
    return found


def bound(found: Sized) -> None:
    """Refuse a list of more entries than anyone needs."""
    if len(found) > MOST_OBJECTS:
        words = f": array too long. Expected at most {MOST_OBJECTS} elements, but got {len(found)} instead."
        raise MismatchError("Invalid", words, "array_above_max_length")


def strings_by_name(raw: Raw) -> dict[str, str] | None:
    try:
        return _STRINGS_BY_NAME.decode(raw)
    except ValueError:
        return _each_by_name(raw, string)


def numbers_by_name(raw: Raw) -> dict[str, float] | None:
    try:
        return _NUMBERS_BY_NAME.decode(raw)
    except ValueError:
        return _each_by_name(raw, number)


def octets(raw: Raw) -> bytes | None:
    """Bytes, written as a list of integers."""
    try:
        value = _OCTETS.decode(raw)
    except ValueError:
        raise wrong_type("an array of bytes", raw) from None
    return None if value is None else bytes(value)


def _each(raw: Raw, read: Callable[[Raw], T | None], expected: str, element: str) -> list[T]:
    if kind(raw) != "an array":
        raise wrong_type(expected, raw)
    found = []
    for index, each in enumerate(elements(raw)):
        try:
            value = read(each)
            if value is None:
                raise wrong_type(element, each)
        except MismatchError as mismatch:
            raise mismatch.under(f"[{index}]") from None
        found.append(value)
    return found


def _each_by_name(raw: Raw, read: Callable[[Raw], T | None]) -> dict[str, T]:
    """Read a map. Null means the same as absent."""
    found = {}
    for name, each in _members(raw).items():
        try:
            value = read(each)
        except MismatchError as mismatch:
            raise mismatch.under(f".{name}") from None
        if value is not None:
            found[name] = value
    return found


def _members(raw: Raw) -> dict[str, Raw]:
    if kind(raw) != "an object":
        raise wrong_type("an object", raw)
    return members(raw)


def _unfit(raw: Raw, expected: str, problem: str) -> MismatchError:
    """Say why a decoder refused ``raw``: another type or, where the type is right, ``problem``."""
    if kind(raw) == expected:
        return MismatchError("Invalid", problem, "invalid_value")
    return wrong_type(expected, raw)
