"""JSON objects to try the dialect with, made from the contract's descriptors."""

import base64
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import OptionalDouble, TextCompletionParams, TextInput, TopLogprobs
from portico.v1.embeddings_pb2 import DoubleVector, EmbeddingParams
from portico.v1.tools_pb2 import ToolChoice

JSON = st.SearchStrategy[Any]

# A field that holds another form of a member: content as text or as parts, a voice by name or by id.
FORMS = {"content_parts": "content", "custom_voice": "voice"}

scalars: JSON = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
#: Any JSON value, a few levels deep.
anything: JSON = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
# Names that no member has; some are those of fields.
unknown_names = st.text(max_size=6) | st.sampled_from(
    ["content_parts", "extra_json", "schema_json", "is_text"]
)

names = st.text(min_size=1, max_size=4)
named_tools: JSON = st.sampled_from(["function", "custom"]).flatmap(
    lambda kind: st.fixed_dictionaries({"type": st.just(kind), kind: st.fixed_dictionaries({"name": names})})
)
allowed_tools: JSON = st.fixed_dictionaries(
    {
        "type": st.just("allowed_tools"),
        "allowed_tools": st.fixed_dictionaries({}, optional={"mode": names, "tools": st.lists(named_tools)}),
    }
)
any_object: JSON = st.dictionaries(names, anything, max_size=3)
tool_choices: JSON = (
    st.text(max_size=4) | named_tools | allowed_tools | st.fixed_dictionaries({"name": names}) | any_object
)

ids = st.lists(st.integers(-(2**63), 2**64), max_size=3)
text_inputs: JSON = (
    st.text(max_size=4)
    | st.lists(st.text(max_size=4))
    | ids
    | st.lists(ids)
    | any_object
    | st.lists(anything)
)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
vectors: JSON = st.lists(numbers, max_size=3)

#: Messages that are no JSON objects, as values of their fields.
own_forms: dict[Descriptor, JSON] = {
    ToolChoice.DESCRIPTOR: tool_choices,
    TextInput.DESCRIPTOR: text_inputs,
    DoubleVector.DESCRIPTOR: vectors,
    OptionalDouble.DESCRIPTOR: st.lists(st.none() | numbers, max_size=3),
    TopLogprobs.DESCRIPTOR: st.lists(st.none() | st.dictionaries(names, numbers, max_size=3), max_size=3),
}

of_type: dict[int, JSON] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**53), 2**53).map(float),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53),
    FieldDescriptor.TYPE_BYTES: st.lists(st.integers(0, 255), max_size=3),
    FieldDescriptor.TYPE_ENUM: st.sampled_from(["counted", "estimated", "a word of no value"]),
}


def member_of(field: FieldDescriptor) -> str | None:
    """Return the JSON member of a field; None for a field that is none."""
    if field.name == "extra_json" or field.name.endswith("_is_text"):
        return None
    several = field.containing_oneof
    if several is not None and len(several.fields) > 1:
        return several.name
    return FORMS.get(field.name) or field.name.removesuffix("_json")


def known_members(of: Descriptor) -> set[str]:
    """Return the JSON members that a message has fields for."""
    return {member for field in of.fields if (member := member_of(field))}


def values_of(field: FieldDescriptor, wild: bool) -> JSON:
    """Return values that fit a field."""
    inner = field.message_type
    if field.name.endswith("_json"):
        return anything
    if field.name == "float32_le":
        return st.binary(max_size=9).map(lambda found: base64.b64encode(found).decode()) | st.text(max_size=8)
    if inner is None:
        values = of_type[field.type]
        many = st.lists(values, max_size=3)
        return (many | values if field.name == "stop" else many) if field.is_repeated else values
    if inner in own_forms:
        return own_forms[inner]
    if inner.GetOptions().map_entry:
        value = of_type[inner.fields_by_name["value"].type]
        return st.dictionaries(st.text(max_size=4), st.none() | value, max_size=3)
    nested = objects(inner, wild)
    return st.lists(nested, max_size=2) if field.is_repeated else nested


#: Values of every kind, for fields that want another; none of them means the same as absent.
misfits: JSON = st.sampled_from(["x", True, 7, 1.5, 2**70, [5], [None], [[]], {"a": 1}])


@functools.cache
def objects(of: Descriptor, wild: bool = False) -> JSON:
    """Return objects with any of a message's members, right or null, and members without a field.

    ``wild``: some members are of a wrong type.
    """

    def build() -> JSON:
        known: dict[str, JSON] = {}
        for field in of.fields:
            member = member_of(field)
            if member is not None:
                known[member] = known.get(member, st.none()) | values_of(field, wild)
                if wild:
                    known[member] |= misfits
        unknown = st.dictionaries(unknown_names.filter(lambda name: name not in known), anything, max_size=1)
        # Few members at once: the interesting mistakes need one or two.
        some = st.sets(st.sampled_from(sorted(known)), max_size=4).flatmap(
            lambda chosen: st.fixed_dictionaries({name: known[name] for name in sorted(chosen)})
        )
        return st.builds(lambda typed, extra: typed | extra, some, unknown)

    return st.deferred(build)


def _complete(request: dict[str, Any], model: str, role: str) -> dict[str, Any]:
    """Put in what a request must have."""
    messages = request.get("messages") or [{}]
    for message in messages:
        message["role"] = message.get("role") or role
    return request | {"model": model, "messages": messages}


#: Requests that must be taken.
requests: JSON = st.builds(
    _complete,
    objects(ChatCompletionParams.DESCRIPTOR).filter(lambda request: "stream" not in request),
    st.text(max_size=8),
    st.text(max_size=8),
)


_inputs: JSON = text_inputs.filter(lambda value: value is not None)
#: Requests of the other endpoints that must be taken.
text_requests: JSON = st.builds(
    lambda request, model, prompt: request | {"model": model, "prompt": prompt},
    objects(TextCompletionParams.DESCRIPTOR).filter(lambda request: "stream" not in request),
    st.text(max_size=8),
    _inputs,
)
embedding_requests: JSON = st.builds(
    lambda request, model, given: request | {"model": model, "input": given},
    objects(EmbeddingParams.DESCRIPTOR),
    st.text(max_size=8),
    _inputs,
)


@dataclass(frozen=True)
class Place:
    """A known member inside a request."""

    holder: dict[str, Any]
    member: str
    path: str
    fields: tuple[FieldDescriptor, ...]


def places(value: dict[str, Any], of: Descriptor, path: str = "") -> Iterator[Place]:
    """Find the known members of an object, at every depth."""
    for member in sorted(known_members(of) & value.keys()):
        fields = tuple(field for field in of.fields if member_of(field) == member)
        here = f"{path}.{member}".removeprefix(".")
        yield Place(value, member, here, fields)
        for field in fields:
            inner = field.message_type
            if inner is None or inner in own_forms or inner.GetOptions().map_entry:
                continue
            found = value[member]
            if field.is_repeated and isinstance(found, list):
                for index, each in enumerate(found):
                    yield from places(each, inner, f"{here}[{index}]")
            elif not field.is_repeated and isinstance(found, dict):
                yield from places(found, inner, here)
