"""JSON objects <-> messages, by tables that are made from the contract's descriptors.

A new field of the contract needs no code here: ``_fields.py`` reads and writes it by its type. A
member without a field goes to ``extra_json`` and comes back from there.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import Raw
from msgspec.json import encode

from portico.openai._at_once import Arguments, AtOnce, at_once
from portico.openai._fields import Field, Read, Write, field, member_of, one_of
from portico.openai._json import members, spliced
from portico.openai._values import MismatchError

_EXTRA: Final = "extra_json"

Usual = Mapping[type[Message], Mapping[str, object]]
_NONE: Final[Usual] = {}
_AS_THEY_ARE: Final[Mapping[str, Write]] = {}


class Shapes:
    """How each kind of message is read and written for one use; made when first asked for.

    ``lenient`` is for answers: a member whose value does not fit its field goes to ``extra_json``
    too. ``usual`` are the members that are written even where a message lacks them, in their order,
    by the class of the message; a usual ``object`` is written whatever the message says. ``otherwise``
    writes fields, by name, in another way than their type has it.
    """

    def __init__(
        self, *, lenient: bool, usual: Usual = _NONE, otherwise: Mapping[str, Write] = _AS_THEY_ARE
    ) -> None:
        self._lenient = lenient
        self.otherwise = otherwise
        self._usual = {of.DESCRIPTOR.full_name: always for of, always in usual.items()}
        self._made: dict[str, Shape] = {}

    def __getitem__(self, of: Descriptor) -> "Shape":
        shape = self._made.get(of.full_name)
        if shape is None:
            shape = Shape(lenient=self._lenient, usual=self._usual.get(of.full_name, {}))
            # Entered before its fields are: TokenLogprob holds itself.
            self._made[of.full_name] = shape
            shape.learn(of, self)
        return shape


class Shape:
    """How one kind of message is read and written."""

    def __init__(self, *, lenient: bool, usual: Mapping[str, object]) -> None:
        self._lenient = lenient
        self._usual = usual
        self._at_once: AtOnce | None = None
        #: By the name of the JSON member.
        self._readers: dict[str, Read] = {}
        #: By field: the JSON member whose value is the field's own.
        self._plain: dict[FieldDescriptor, str] = {}
        #: By field: the JSON member, and what makes its value.
        self._writers: dict[FieldDescriptor, tuple[str, Write]] = {}

    def learn(self, of: Descriptor, shapes: Shapes) -> None:
        """Make the tables from the fields of a message."""
        self._at_once = at_once(of)
        forms: dict[str, list[Field]] = {}
        for each in of.fields:
            if each.name == _EXTRA or each.name.endswith("_is_text"):
                continue
            member = member_of(each)
            made = field(each, of, shapes.__getitem__)
            forms.setdefault(member, []).append(made)
            write = shapes.otherwise.get(each.name, made.write)
            if member == "object" and member in self._usual:
                continue
            if write is None:
                self._plain[each] = member
            else:
                self._writers[each] = (member, write)
        for member, several in forms.items():
            self._readers[member] = several[0].read if len(several) == 1 else one_of(several)

    def read_object(self, text: Raw | bytes) -> Arguments | None:
        """Read an object at once, as what the message's constructor takes; None where that cannot be."""
        return None if self._at_once is None else self._at_once.one(text)

    def read_list(self, raw: Raw) -> list[Arguments] | None:
        """Read a list of objects, as ``read_object`` does each."""
        return None if self._at_once is None else self._at_once.many(raw)

    def read(self, found: Mapping[str, Raw], message: Any) -> None:
        """Read the members of a JSON object into ``message``.

        Raises ``MismatchError``, unless lenient, for a member whose value does not fit its field.
        """
        extra = {}
        for member, raw in found.items():
            reader = self._readers.get(member)
            if reader is None:
                extra[member] = raw
                continue
            try:
                reader(raw, message)
            except MismatchError as mismatch:
                if not self._lenient:
                    raise mismatch.under(f".{member}") from None
                extra[member] = raw
        if extra:
            message.extra_json = encode(extra).decode()

    def write(self, message: Any) -> dict[str, object] | Raw:
        """Return the JSON object for ``message``, as what msgspec encodes.

        Raises ``MismatchError`` for a text that is carried as JSON and is none.
        """
        written, extra = self.parts(message)
        return Raw(spliced(written, extra)) if extra else written

    def parts(self, message: Any) -> tuple[dict[str, object], str]:
        """Return the members for the fields of ``message``, and its ``extra_json``."""
        written = {**self._usual}
        extra = ""
        plain = self._plain
        for of, value in message.ListFields():
            member = plain.get(of)
            if member is not None:
                written[member] = value
            elif of in self._writers:
                member, write = self._writers[of]
                try:
                    written[member] = write(value, message)
                except MismatchError as mismatch:
                    raise mismatch.under(f".{member}") from None
            elif of.name == _EXTRA:
                extra = value
        if extra:
            for member in self._usual.keys() & _members_of(extra).keys():
                del written[member]
        return written, extra


def _members_of(extra: str) -> Mapping[str, Raw]:
    try:
        return members(extra.encode())
    except ValueError:
        mismatch = MismatchError("Invalid", ": the text is not a JSON object.", "invalid_json")
        raise mismatch.under(f".{_EXTRA}") from None
