"""The sections ``keys`` and ``admin_keys``, and the keys of the environment."""

import re
from collections.abc import Mapping
from typing import Final

from portico.config import ConfigError, Node, value
from portico.secret import Secret
from portico_core import environment
from portico_core.config.settings import Key

_KEY: Final = re.compile(r"[\x21-\x7e]+")


def keys_of(node: Node | None, environ: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the keys of the file, then those of the environment."""
    keys = _keys("keys", node) + tuple(
        _checked(Key(f"env-key-{number}", key), None)
        for number, key in enumerate(environment.keys(environ), 1)
    )
    if not keys and environment.needs_key(environ):
        raise ConfigError("ENABLE_AUTH is on, but there is no key. Set API_KEY_SECRET or API_KEYS.")
    return keys


def admin_keys_of(node: Node | None) -> tuple[Key, ...]:
    """Return the keys of operators."""
    return _keys("admin_keys", node)


def _keys(section: str, node: Node | None) -> tuple[Key, ...]:
    named: list[tuple[str, Secret]] = []
    if node is not None and node.is_list:
        named = [(f"key-{number}", value(Secret, each)) for number, each in enumerate(node.items(), 1)]
    elif node is not None:
        if not node.is_mapping and not node.absent:
            raise node.error(f"expected a list or a mapping (name: key), found {node.found}")
        named = [(name, value(Secret, each)) for name, each in node.members().items()]
    if node is not None and not named:
        # Whoever wrote it meant to shut the door, which would stay open.
        raise node.error("names no key", f"Add one, or leave `{section}` out.")
    return tuple(_checked(Key(name, key), node) for name, key in named)


def _checked(key: Key, node: Node | None) -> Key:
    if not _KEY.fullmatch(key.secret.reveal()):
        where = ConfigError if node is None else node.error
        raise where(f"{key.name}: a key is printable ASCII without blanks")
    return key
