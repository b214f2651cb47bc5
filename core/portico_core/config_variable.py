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

from portico.config import ConfigError

_OPENAI: Final = "https://api.openai.com/v1"
_REMEDY: Final = "CONFIG holds the JSON text itself; `--config` names a file."


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One backend of a namespace."""

    #: What it serves. None: it is asked.
    models: list[str] | None = None
    api_key: str | None = None
    base_url: str | None = None
    api_version: str | None = None
    is_azure: bool = False


_Namespaces: TypeAlias = dict[str, list[_Entry]]
_DECODER: Final = msgspec.json.Decoder(dict[str, _Namespaces | list[_Entry]])


def sections(text: str) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return the sections ``backends`` and ``namespaces`` of a file that says the same."""
    backends: dict[str, dict[str, Any]] = {}
    namespaces: dict[str, list[str]] = {}
    for namespace, entries in _namespaces(text).items():
        names = namespaces.setdefault(namespace, [])
        for entry in entries:
            name = namespace if len(entries) == 1 else _free(namespace, backends)
            backends[name] = _backend(entry)
            names.append(name)
    if not backends:
        raise ConfigError("CONFIG: names no backend. Add an entry, or unset it.")
    return backends, namespaces


def _namespaces(text: str) -> _Namespaces:
    try:
        decoded = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise ConfigError(f"CONFIG: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"CONFIG: is not JSON ({error}). {_REMEDY}") from None
    found: _Namespaces = {}
    for namespace, entries in _flat(decoded):
        found.setdefault(namespace, []).extend(entries)
    return found


def _flat(decoded: dict[str, _Namespaces | list[_Entry]]) -> Iterator[tuple[str, list[_Entry]]]:
    for name, value in decoded.items():
        if isinstance(value, list):
            yield name, value
        elif name == "config":
            yield from value.items()
        else:
            raise ConfigError(f"CONFIG: {name}: expected a list of entries, found an object")


def _free(namespace: str, taken: dict[str, Any]) -> str:
    return next(name for number in count(1) if (name := f"{namespace}-{number}") not in taken)


def _backend(entry: _Entry) -> dict[str, Any]:
    members: dict[str, Any] = {
        "dialect": "azure" if entry.is_azure else "openai",
        "url": entry.base_url or (None if entry.is_azure else _OPENAI),
        "api_key": entry.api_key or None,
        "api_version": entry.api_version,
    }
    if entry.api_version and not entry.is_azure:
        raise ConfigError('CONFIG: api_version is for Azure. Add `"is_azure": true` beside it.')
    # A dollar sign stands for itself.
    texts = {name: each.replace("$", "$$") for name, each in members.items() if each is not None}
    return (
        texts
        if entry.models is None
        else {**texts, "models": [each.replace("$", "$$") for each in entry.models]}
    )
