"""Nodes as dataclasses: every member is checked against the type of its field."""

import dataclasses
import difflib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from portico.config.mistakes import ConfigError, Mistakes
from portico.config.node import Node
from portico.config.values import is_scalar, scalar

T = TypeVar("T")

_UNIONS = (Union, types.UnionType)
_MAPPINGS = (dict, Mapping)


def fill(kind: type[T], node: Node, *, skip: Collection[str] = ()) -> T:
    """Make the dataclass ``kind`` of a mapping, less the members that ``skip`` names.

    Raises ConfigError that tells all unknown, missing and wrong members, or else a ValueError of the
    class's own checks: one that begins with a member's name and a colon is told at that member's line.
    """
    assert dataclasses.is_dataclass(kind)  # noqa: S101 - a fault of ours, not of the file
    values: dict[str, Any] = {}
    mistakes = Mistakes()
    with mistakes:
        values = given(kind, node, skip=skip)
    written = node.members()
    for field in dataclasses.fields(kind):
        needed = field.init and field.default is field.default_factory is dataclasses.MISSING
        if needed and (field.name not in written or written[field.name].absent):
            mistakes.add(node.error(f"{field.name} is missing", f"Add `{field.name}: …` here."))
    mistakes.report()
    try:
        return kind(**values)
    except ValueError as error:
        raise _at_member(node, str(error)) from None


def given(kind: type[Any], node: Node, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Return the members that are written, each as its field's type; null counts as not written."""
    types_of = get_type_hints(kind, include_extras=True)
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    values: dict[str, Any] = {}
    mistakes = Mistakes()
    for name, member in node.members().items():
        if name in skip:
            continue
        if name not in known:
            mistakes.add(member.error("is not known", did_you_mean(name, [*skip, *known])))
        elif not member.absent:
            with mistakes:
                values[name] = value(types_of[name], member)
    mistakes.report()
    return values


def value(kind: Any, node: Node) -> Any:
    """Read one value: a scalar, a list, a mapping, a dataclass, or a union of these and None."""
    if is_scalar(kind):
        return scalar(node, kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return fill(kind, node)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in _UNIONS:
        return _one_of(arguments, node)
    if origin in _MAPPINGS:
        return {name: value(arguments[1], member) for name, member in node.members().items()}
    if origin is tuple:
        return tuple(value(arguments[0], item) for item in node.items())
    if origin in (list, Sequence):
        return [value(arguments[0], item) for item in node.items()]
    raise TypeError(f"{kind!r} cannot stand in a configuration")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the remedy for a name that means nothing where it stands."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(names)}."


def _one_of(kinds: Sequence[Any], node: Node) -> Any:
    """Read a union by the shape of what is written; of several scalars the first that fits."""
    if node.absent and type(None) in kinds:
        return None
    fitting = [kind for kind in kinds if kind is not type(None) and _has_shape(kind, node)]
    for kind in fitting[:-1]:
        try:
            return value(kind, node)
        except ConfigError:
            continue
    # The last one's complaint is as good as any; where no shape fits, that of the first kind.
    return value(fitting[-1] if fitting else kinds[0], node)


def _has_shape(kind: Any, node: Node) -> bool:
    if is_scalar(kind):
        return not (node.is_mapping or node.is_list)
    if get_origin(kind) in _MAPPINGS or dataclasses.is_dataclass(kind):
        return node.is_mapping
    return node.is_list


def _at_member(node: Node, message: str) -> ConfigError:
    name, colon, problem = message.partition(": ")
    member = node.members().get(name)
    if colon and member is not None:
        return member.error(problem)
    return node.error(message)
