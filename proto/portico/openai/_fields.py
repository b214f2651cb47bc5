"""How one field is read and written, by its type in the contract.

A member has the name of its field. The contract's names have four meanings beside that: ``x_json``
carries the member ``x`` verbatim; a field in ``_FORMS`` holds another form of a member (content as a
list of parts), and so do the fields of a oneof, by its name (a vector as numbers or as bytes); and a
list ``x`` with an ``x_is_text`` beside it may be written as one string.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from msgspec import Raw

from portico.openai import _text_input, _token_logprobs, _tool_choice, _values, _vectors
from portico.openai._json import kind
from portico.openai._values import MismatchError, wrong_type

#: Reads a member's value into a message.
Read = Callable[[Raw, Any], None]
#: Makes what msgspec encodes, from a field's value and the message that it stands in.
Write = Callable[[Any, Any], object]
Decode = Callable[[Raw], Any]

_FORMS: Final = {"content_parts": "content", "custom_voice": "voice"}

# Objects that some vendors let one write as a bare string, and the member that the string is.
_BARE: Final = {"image_url": "url"}


#: Messages that are no JSON objects: what JSON they take, and how they are read and written.
OWN: Final = {
    _tool_choice.NAME: ("one of a string or object", _tool_choice.codec),
    _text_input.NAME: (_text_input.TAKES, _text_input.codec),
    _vectors.NAME: (_vectors.TAKES, _vectors.codec),
    _token_logprobs.NUMBERS_NAME: (_token_logprobs.NUMBERS_TAKES, _token_logprobs.numbers),
    _token_logprobs.TOP_NAME: (_token_logprobs.TOP_TAKES, _token_logprobs.top),
}


class Nested(Protocol):
    """Reads and writes one kind of message."""

    def read_list(self, raw: Raw) -> list[dict[str, Any]] | None: ...
    def read(self, found: Mapping[str, Raw], message: Any) -> None: ...
    def write(self, message: Any) -> object: ...


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is read and written."""

    #: What JSON value it takes, in OpenAI's words.
    takes: str
    read: Read
    #: None: the value goes into JSON as it is.
    write: Write | None


def member_of(of: FieldDescriptor) -> str:
    """Return the JSON member that a field stands for."""
    several = of.containing_oneof
    # What `optional` means to protobuf is a oneof of one field.
    if several is not None and len(several.fields) > 1:
        return several.name
    return _FORMS.get(of.name) or of.name.removesuffix("_json")


def field(of: FieldDescriptor, within: Descriptor, nested: Callable[[Descriptor], Nested]) -> Field:
    """Return how a field of the message ``within`` is read and written.

    ``nested`` tells how the messages inside it are.
    """
    inner = of.message_type
    if inner is None and of.is_repeated:
        has_text = f"{of.name}_is_text" in within.fields_by_name
        return _text_or_strings(of) if has_text else _scalars(of)
    if inner is None:
        return _scalar(of)
    if inner.GetOptions().map_entry:
        return _map(of.name, inner.fields_by_name["value"].type)
    if inner.full_name in OWN:
        takes, codec = OWN[inner.full_name]
        return Field(takes, *codec(of.name))
    return (_list if of.is_repeated else _object)(of.name, nested(inner))


def one_of(forms: Sequence[Field]) -> Read:
    """Read a member that has several fields: the type of the JSON value decides which.

    A form that takes any value gets what the others do not.
    """
    readers = {" ".join(form.takes.split()[:2]): form.read for form in forms}
    other = readers.pop(_ANY, None)
    expected = "one of " + " or ".join(form.takes for form in forms).replace(" or an ", " or ")

    def read(raw: Raw, message: Any) -> None:
        found = kind(raw)
        if found == "null":
            return
        try:
            if found not in readers:
                raise wrong_type(expected, raw)
            readers[found](raw, message)
        except MismatchError:
            if other is None:
                raise
            other(raw, message)

    return read


def _scalar(of: FieldDescriptor) -> Field:
    name = of.name
    if of.enum_type is not None:
        return _enum(name, of.enum_type)
    named = next((each for ending, each in _ENDINGS.items() if name.endswith(ending)), None)
    takes, decode, write = named or _SCALARS[of.type]

    def read(raw: Raw, message: Any) -> None:
        value = decode(raw)
        if value is not None:
            setattr(message, name, value)

    return Field(takes, read, write)


def _enum(name: str, of: EnumDescriptor) -> Field:
    """Portico's own sets: the words of their values, less the first, which stands for an absent member."""
    first, *others = of.values
    prefix = first.name.removesuffix("UNSPECIFIED")
    words = {each.number: each.name.removeprefix(prefix).lower() for each in others}
    numbers = {word: number for number, word in words.items()}

    def read(raw: Raw, message: Any) -> None:
        word = _values.string(raw)
        if word is None:
            return
        if word not in numbers:
            raise wrong_type(f"one of {', '.join(numbers)}", raw)
        setattr(message, name, numbers[word])

    # A number of a later contract has no word yet.
    return Field("a string", read, lambda value, _: words.get(value))


def _object(name: str, nested: Nested) -> Field:
    def read(raw: Raw, message: Any) -> None:
        found = _values.obj(raw)
        if found is not None:
            inner = getattr(message, name)
            inner.SetInParent()
            nested.read(found, inner)

    def read_bare(raw: Raw, message: Any) -> None:
        nested.read({_BARE[name]: raw}, getattr(message, name))

    whole = Field("an object", read, lambda value, _: nested.write(value))
    if name not in _BARE:
        return whole
    return Field(whole.takes, one_of([Field("a string", read_bare, whole.write), whole]), whole.write)


def _list(name: str, nested: Nested) -> Field:
    def read(raw: Raw, message: Any) -> None:
        add = getattr(message, name).add
        usual = nested.read_list(raw)
        if usual is not None:
            for members in usual:
                add(**members)
            return
        for index, each in enumerate(_values.objects(raw) or ()):
            try:
                nested.read(each, add())
            except MismatchError as mismatch:
                raise mismatch.under(f"[{index}]") from None

    def write(value: Any, _: Any) -> object:
        written = []
        for index, each in enumerate(value):
            try:
                written.append(nested.write(each))
            except MismatchError as mismatch:
                raise mismatch.under(f"[{index}]") from None
        return written

    return Field("an array of objects", read, write)


def _map(name: str, of: int) -> Field:
    decode, write = _MAPS[of]

    def read(raw: Raw, message: Any) -> None:
        found = decode(raw)
        if found is not None:
            getattr(message, name).update(found)

    return Field("an object", read, write)


def _scalars(of: FieldDescriptor) -> Field:
    name = of.name
    takes, decode = _LISTS[of.type]

    def read(raw: Raw, message: Any) -> None:
        found = decode(raw)
        if found is not None:
            getattr(message, name).extend(found)

    return Field(takes, read, lambda value, _: list(value))


def _text_or_strings(of: FieldDescriptor) -> Field:
    name, is_text = of.name, f"{of.name}_is_text"
    many = _scalars(of)

    def read_one(raw: Raw, message: Any) -> None:
        getattr(message, name).append(_values.string(raw))
        setattr(message, is_text, True)

    def write(value: Any, message: Any) -> object:
        return value[0] if len(value) == 1 and getattr(message, is_text) else list(value)

    return Field(many.takes, one_of([Field("a string", read_one, write), many]), write)


def _as_number(value: float) -> float:
    """Write whole numbers as integers: some servers refuse 1.0 where they want 1, none the reverse."""
    whole = value.is_integer() and abs(value) < 2**53 and (value or str(value) == "0.0")
    return int(value) if whole else value


_ANY: Final = "any value"
# What a name says by its ending, whatever the type.
_ENDINGS: Final[dict[str, tuple[str, Decode, Write]]] = {
    "_json": (_ANY, _values.json_text, lambda value, _: _values.carried(value)),
    "float32_le": ("a string", _vectors.float32, lambda value, _: _vectors.text_of(value)),
}
_SCALARS: Final[dict[int, tuple[str, Decode, Write | None]]] = {
    FieldDescriptor.TYPE_STRING: ("a string", _values.string, None),
    FieldDescriptor.TYPE_BOOL: ("a boolean", _values.boolean, None),
    FieldDescriptor.TYPE_INT64: ("an integer", _values.integer, None),
    FieldDescriptor.TYPE_DOUBLE: ("a decimal", _values.number, lambda value, _: _as_number(value)),
    FieldDescriptor.TYPE_BYTES: ("an array of bytes", _values.octets, lambda value, _: list(value)),
}
_LISTS: Final[dict[int, tuple[str, Decode]]] = {
    FieldDescriptor.TYPE_STRING: ("an array of strings", _values.strings),
    FieldDescriptor.TYPE_INT64: ("an array of integers", _values.integers),
}
_MAPS: Final[dict[int, tuple[Decode, Write]]] = {
    FieldDescriptor.TYPE_STRING: (_values.strings_by_name, lambda value, _: dict(value)),
    FieldDescriptor.TYPE_DOUBLE: (
        _values.numbers_by_name,
        lambda value, _: {name: _as_number(each) for name, each in value.items()},
    ),
}
