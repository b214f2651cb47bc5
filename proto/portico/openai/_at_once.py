"""Objects in which all is as usual, read at once: by one call of msgspec, and one of protobuf for each.

Member by member (``_fields.py``) the messages of a conversation take three times as long. For each kind of
message a Struct is made from the contract's descriptors. It takes the usual form of each member, and neither
another type nor a member without a field. What it refuses is read member by member, which finds out what is
wrong, if anything is; what it takes means the same either way.
"""

from collections.abc import Mapping
from itertools import chain
from types import NoneType
from typing import Annotated, Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from msgspec import Meta, Raw, defstruct, to_builtins
from msgspec.json import Decoder

from portico.openai._fields import OWN, member_of
from portico.openai._values import MOST_OBJECTS, Int64, json_text

#: The arguments of a message's constructor.
Arguments = dict[str, Any]

# Bytes. What is longer holds pictures, or nothing but small objects, each of which takes 112 bytes here.
_LONGEST: Final = 2**20

_SCALARS: Final[Mapping[int, Any]] = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_INT64: Int64,
    FieldDescriptor.TYPE_DOUBLE: float,
}


class AtOnce:
    """Reads objects of one kind."""

    def __init__(self, of: Descriptor, takes: Mapping[FieldDescriptor, Any]) -> None:
        """``takes``: the type of what each field usually holds."""
        types: dict[str, Any] = {}
        #: Members that have another name than their field, where their value is of this type.
        self._renamed: list[tuple[str, type, str]] = []
        #: Fields in whose messages there are such members, and whether they are lists.
        self._nested: list[tuple[str, bool, AtOnce]] = []
        for field, taken in takes.items():
            member = member_of(field)
            # Content is a string or a list of parts: one member, two fields.
            types[member] = types[member] | taken if member in types else taken
            if member != field.name:
                value = str if taken is Raw else list if field.is_repeated else dict
                self._renamed.append((member, value, field.name))
            inner = at_once(field.message_type) if field.message_type else None
            if inner and (inner._renamed or inner._nested):
                self._nested.append((field.name, field.is_repeated, inner))
        members = [(name, each, Raw() if each is Raw else None) for name, each in types.items()]
        self.struct = defstruct(of.name, members, forbid_unknown_fields=True, omit_defaults=True, gc=False)
        self._one: Decoder[Any] = Decoder(self.struct)
        #: The type of a list of such objects. A longer one is refused, but member by member.
        self.list: Any = Annotated[list[self.struct], Meta(max_length=MOST_OBJECTS)]  # type: ignore[name-defined]
        self._many: Decoder[Any] = Decoder(self.list | None)

    def one(self, text: Raw | bytes) -> Arguments | None:
        """Read an object; return None where it must be read member by member."""
        found: Arguments | None = _read(text, self._one)
        if found is not None:
            self._rename([found])
        return found

    def many(self, raw: Raw) -> list[Arguments] | None:
        """Read a list of objects, as ``one`` does each. Null is an empty one."""
        found: list[Arguments] | None = _read(raw, self._many)
        if found:
            self._rename(found)
        return found

    def _rename(self, objects: list[Arguments]) -> None:
        """Give members the names of their fields: one name after another, without a call for each."""
        for member, value, name in self._renamed:
            for each in objects:
                if type(each.get(member)) is value:
                    each[name] = each.pop(member)
        for name, repeated, inner in self._nested:
            found = [each[name] for each in objects if name in each]
            inner._rename(list(chain.from_iterable(found)) if repeated else found)


_MADE: Final[dict[str, AtOnce | None]] = {}


def at_once(of: Descriptor) -> AtOnce | None:
    """Return what reads objects of one kind; None where nothing can read them at once."""
    if of.full_name not in _MADE:
        # Entered before it is made: TokenLogprob holds itself.
        _MADE[of.full_name] = None
        takes = {field: _taken(field) for field in of.fields if field.name != "extra_json"}
        if of.full_name not in OWN and None not in takes.values():
            _MADE[of.full_name] = AtOnce(of, takes)
    return _MADE[of.full_name]


def _taken(of: FieldDescriptor) -> Any:
    """Return the type of what a field usually holds; None where its message cannot be read at once."""
    several = of.containing_oneof is not None and len(of.containing_oneof.fields) > 1
    if several or of.name.endswith("_is_text"):
        return None
    if of.name.endswith("_json"):
        return Raw
    if of.enum_type is not None:
        # Words of Portico's own, which another Portico alone sends.
        return NoneType
    inner = of.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return dict[str, _SCALARS[inner.fields_by_name["value"].type]] | None  # type: ignore[misc]
    made = at_once(inner) if inner is not None else None
    if made is not None:
        return (made.list if of.is_repeated else made.struct) | None
    value: Any = _SCALARS.get(of.type)
    if value is not None:
        return (list[value] if of.is_repeated else value) | None
    # Lists are what a message is for. The others are log probabilities, which few ask for: mostly null.
    return NoneType if inner is not None and not of.is_repeated else None


def _read(text: Raw | bytes, decoder: Decoder[Any]) -> Any:
    """Return what ``decoder`` finds, as what protobuf's constructors take; None for what is not usual."""
    if len(text) > _LONGEST:
        return None
    try:
        return to_builtins(decoder.decode(text) or [], enc_hook=_carried)
    except ValueError:
        return None


def _carried(raw: Raw) -> str:
    text = json_text(raw)
    if text is None:
        raise ValueError("null instead of any JSON is rare, and means absent")
    return text
