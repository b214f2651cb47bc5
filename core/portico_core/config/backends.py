"""The sections ``backends`` and ``timeouts``."""

import dataclasses
import re
from typing import Final

from portico.config import Mistakes, Node, did_you_mean, fill, given, value
from portico_core.adapters import Adapters
from portico_core.candidates import STAR
from portico_core.config.settings import Backend, Concurrency, Timeouts

#: Members of a backend that are not its adapter's.
_COMMON: Final = ("dialect", "models", "timeouts", "limit", "queue")

_CONCURRENCY: Final = tuple(field.name for field in dataclasses.fields(Concurrency))

_NAMES: Final = "Use letters, digits, dot, dash and underscore, 64 at most."
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str, node: Node, of: str) -> None:
    """Raise ConfigError where ``name`` may not stand before the / of a model's name."""
    if not _NAME.fullmatch(name):
        raise node.error(f"is no name for a {of}", _NAMES)


def timeouts_of(node: Node | None, others: Timeouts) -> Timeouts:
    """Read a section ``timeouts``; ``others`` has what it leaves out."""
    return others if node is None else dataclasses.replace(others, **given(Timeouts, node))


def backend_of(name: str, node: Node, timeouts: Timeouts, adapters: Adapters) -> Backend:
    """Read one backend; ``timeouts``: those of the configuration."""
    check_name(name, node, "backend")
    members = node.members()
    if "dialect" not in members:
        raise node.error("dialect is missing", f"Add `dialect: …`, one of {', '.join(sorted(adapters))}.")
    dialect = members["dialect"].text()
    if dialect not in adapters:
        raise members["dialect"].error(
            f"no adapter speaks {members['dialect'].found}", did_you_mean(dialect, adapters)
        )
    try:
        adapter = adapters[dialect]()
    except ImportError as error:
        raise members["dialect"].error(f"the adapter cannot be loaded ({error})") from error
    settings, models, concurrency = None, None, Concurrency()
    mistakes = Mistakes()
    with mistakes:
        settings = fill(adapter.Settings, node, skip=_COMMON)
    with mistakes:
        timeouts = timeouts_of(members.get("timeouts"), timeouts)
    with mistakes:
        others = [member for member in members if member not in _CONCURRENCY]
        concurrency = fill(Concurrency, node, skip=others)
    with mistakes:
        if "models" in members and not members["models"].absent:
            models = value(tuple[str, ...], members["models"])
            if not all(model.isprintable() and model and STAR not in model for model in models):
                raise members["models"].error("a name is empty, or holds a * or a control character")
    mistakes.report()
    return Backend(name, dialect, adapter, settings, timeouts, models, node.place, concurrency)
