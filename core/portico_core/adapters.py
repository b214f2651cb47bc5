"""Adapters by dialect: our own and third parties' alike are entry points."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Final, TypeAlias

from portico.adapter import Adapter

GROUP: Final = "portico.adapters"

#: Dialect -> what loads its class.
Adapters: TypeAlias = Mapping[str, Callable[[], type[Adapter]]]


def installed() -> Adapters:
    """Return the adapters that are installed; their modules are imported when they are loaded."""
    return {entry.name: entry.load for entry in entry_points(group=GROUP)}
