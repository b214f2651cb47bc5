"""From the file, or what stands for one, to the checked configuration."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from portico.config import Address, Mistakes, Node, Source, did_you_mean, fill, parse, read, value
from portico_core import environment
from portico_core.adapters import Adapters, installed
from portico_core.config.backends import backend_of, timeouts_of
from portico_core.config.keys import admin_keys_of, keys_of
from portico_core.config.names import allowed_of, check_fallbacks, namespaces_of, routes_of
from portico_core.config.settings import Backend, Config, Grpc, Key, Timeouts
from portico_core.routing import Routes

_BUILT_IN: Final = "(built in)"
_WITHOUT_A_FILE: Final = "backends: {dummy: {dialect: dummy}}"

_SECTIONS: Final = (
    *("http", "grpc", "backends", "models", "default", "timeouts", "namespaces", "allowed_models", "keys"),
    *("admin", "admin_keys"),
)


def load(source: Source | None, environ: Mapping[str, str], adapters: Adapters | None = None) -> Config:
    """Read and check the configuration; raise ConfigError that tells all of its mistakes.

    ``source``: None leaves it to the environment.
    ``adapters``: those that backends may name; by default the installed ones.
    """
    root = _without_a_file(environ) if source is None else read(source, environ)
    members = root.members()
    known = installed() if adapters is None else adapters
    grpc, timeouts, routes = Grpc(), Timeouts(), Routes()
    keys: tuple[Key, ...] = ()
    admin_keys: tuple[Key, ...] = ()
    admin: Address | None = None
    backends: list[Backend] = []
    mistakes = Mistakes()
    for name, node in members.items():
        if name not in _SECTIONS:
            mistakes.add(node.error("is not known", did_you_mean(name, _SECTIONS)))
    with mistakes:
        grpc = _grpc(members.get("grpc"))
    with mistakes:
        admin = _admin(members.get("admin"))
    with mistakes:
        timeouts = timeouts_of(members.get("timeouts"), timeouts)
    named = members["backends"].members() if "backends" in members else {}
    if not named:
        remedy = f"For a first try, write `{_WITHOUT_A_FILE}`."
        mistakes.add(root.error("backends is missing", remedy))
    for name, node in named.items():
        with mistakes:
            backends.append(backend_of(name, node, timeouts, known))
    with mistakes:
        routes = routes_of(members, list(named))
    with mistakes:
        keys = keys_of(members.get("keys"), environ)
    with mistakes:
        admin_keys = admin_keys_of(members.get("admin_keys"))
    mistakes.report()
    with mistakes:
        namespaces = namespaces_of(members.get("namespaces"), backends)
        allowed = allowed_of(members.get("allowed_models"), environ)
        routes = dataclasses.replace(routes, namespaces=namespaces, allowed=allowed)
        check_fallbacks(members, routes)
    mistakes.report()
    return Config(grpc, tuple(backends), routes, keys, admin, admin_keys)


def _without_a_file(environ: Mapping[str, str]) -> Node:
    return environment.document(environ) or parse(_WITHOUT_A_FILE, _BUILT_IN, environ, [_BUILT_IN])


def _grpc(node: Node | None) -> Grpc:
    if node is None or node.absent:
        return Grpc()
    return fill(Grpc, node) if node.is_mapping else Grpc(listen=value(Address, node))


def _admin(node: Node | None) -> Address | None:
    if node is None or node.absent:
        return None
    listen: Address = value(Address, node)
    if listen.startswith("unix:"):
        raise node.error(f"expected HOST:PORT, found {node.found}", "Scrapers speak TCP.")
    return listen
