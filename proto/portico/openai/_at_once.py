"""Objects in which all is as usual, read at once: by one call of msgspec, and one of protobuf for each.

Member by member (``_fields.py``) the messages of a conversation take three times as long. For each kind of
message a Struct is made from the contract's descriptors. It takes the usual form of each member, and neither
another type nor a member without a field. What it refuses is read member by member, which finds out what is
wrong, if anything is; what it takes means the same either way.
"""

from collections.abc import Mapping
from itertools import chain
from types import NoneType
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from msgspec import Raw, defstruct, to_builtins
from msgspec.json import Decoder

from portico.openai._fields import OWN, member_of
from portico.openai._values import Int64, bound, json_text

#: The arguments of a message's constructor.
Arguments = dict[str, Any]

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
        self._many: Decoder[Any] = Decoder(list[self.struct] | None)  # type: ignore[name-defined]

    def one(self, text: Raw | bytes) -> Arguments | None:
        """Read an object; return None where it must be read member by member."""
        try:
            found: Arguments = to_builtins(self._one.decode(text), enc_hook=_carried)
        except ValueError:
            return None
        self._rename([found])
        return found

    def many(self, raw: Raw) -> list[Arguments] | None:
        """Read a list of objects, as ``one`` does each. Raises MismatchError where it is too long."""
        try:
            objects = self._many.decode(raw) or ()
            bound(objects)
            found: list[Arguments] = to_builtins(objects, enc_hook=_carried)
        except ValueError:
            return None
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
    value: Any = made.struct if made is not None else _SCALARS.get(of.type)
    if value is not None:
        return (list[value] if of.is_repeated else value) | None
    # Lists are what a message is for. The others are log probabilities, which few ask for: mostly null.
    return NoneType if inner is not None and not of.is_repeated else None


def _carried(raw: Raw) -> str:
    text = json_text(raw)
    if text is None:
        raise ValueError("null instead of any JSON is rare, and means absent")
    return text
