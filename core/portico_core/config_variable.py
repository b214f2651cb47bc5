"""The variable CONFIG: namespaces of backends, as one JSON text. Pure.

    {"config": {"default": [{"models": ["gpt-4o"], "api_key": "…", "base_url": "https://…/v1"}]},
     "azure": [{"models": ["gpt-4o"], "api_key": "…", "base_url": "https://…", "api_version": "…",
                "is_azure": true}]}

A namespace may stand inside of "config" or beside it, and has one entry per key and address.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final, TypeAlias

import msgspec

from portico.config import ConfigError, did_you_mean

_OPENAI: Final = "https://api.openai.com/v1"
_REMEDY: Final = "CONFIG holds the JSON text itself; `--config` names a file."


class _Entry(msgspec.Struct):
    """One backend of a namespace."""

    #: What it serves. None: it is asked.
    models: list[str] | None = None
    api_key: str | None = None
    base_url: str | None = None
    api_version: str | None = None
    is_azure: bool = False


_Namespaces: TypeAlias = dict[str, list[_Entry]]
_KINDS: Final = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
}
_KNOWN: Final = _Entry.__struct_fields__


def sections(text: str) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return the sections ``backends`` and ``namespaces`` of a file that says the same."""
    backends: dict[str, dict[str, Any]] = {}
    namespaces: dict[str, list[str]] = {}
    for namespace, entries in _namespaces(text).items():
        names = namespaces.setdefault(namespace, [])
        for number, entry in enumerate(entries, 1):
            name = namespace if len(entries) == 1 else _free(namespace, backends)
            backends[name] = _backend(entry, f"CONFIG: {namespace}: entry {number}")
            names.append(name)
    if not backends:
        raise ConfigError("CONFIG: names no backend. Add an entry, or unset it.")
    return backends, namespaces


def _namespaces(text: str) -> _Namespaces:
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"CONFIG: is not JSON ({error}). {_REMEDY}") from None
    if not isinstance(decoded, dict):
        raise ConfigError(
            f"CONFIG: expected namespaces with their entries, found {_kind(decoded)}. {_REMEDY}"
        )
    found: _Namespaces = {}
    for namespace, entries in _flat(decoded):
        if not isinstance(entries, list):
            raise ConfigError(f"CONFIG: {namespace}: expected a list of entries, found {_kind(entries)}")
        taken = found.setdefault(namespace, [])
        taken.extend(
            _entry(each, f"CONFIG: {namespace}: entry {number}") for number, each in enumerate(entries, 1)
        )
    return found


def _flat(decoded: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in decoded.items():
        if name == "config" and isinstance(value, dict):
            yield from value.items()
        else:
            yield name, value


def _entry(found: Any, where: str) -> _Entry:
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: expected an object, found {_kind(found)}")
    for name in found:
        if name not in _KNOWN:
            raise ConfigError(f"{where}: {name} is not known. {did_you_mean(name, _KNOWN)}")
    try:
        return msgspec.convert(found, _Entry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _free(namespace: str, taken: dict[str, Any]) -> str:
    return next(name for number in count(1) if (name := f"{namespace}-{number}") not in taken)


def _backend(entry: _Entry, where: str) -> dict[str, Any]:
    members: dict[str, Any] = {
        "dialect": "azure" if entry.is_azure else "openai",
        "url": entry.base_url or (None if entry.is_azure else _OPENAI),
        "api_key": entry.api_key or None,
        "api_version": entry.api_version,
    }
    if entry.api_version and not entry.is_azure:
        raise ConfigError(f'{where}: api_version is for Azure. Add `"is_azure": true` beside it.')
    # A dollar sign stands for itself.
    texts = {name: each.replace("$", "$$") for name, each in members.items() if each is not None}
    return (
        texts
        if entry.models is None
        else {**texts, "models": [each.replace("$", "$$") for each in entry.models]}
    )
