"""The core's configuration: one YAML file, or the environment, or nothing, which is the dummy backend alone.

    grpc: 0.0.0.0:50051           # short for {listen: 0.0.0.0:50051}; with drain: 30s

    backends:                     # name -> dialect, the members of that dialect's adapter, and
      local:                      #   models: […]    listed instead of asked for
        dialect: openai           #   timeouts: {…}  where this backend differs
        url: http://localhost:8080/v1

    models:                       # public name -> candidates BACKEND/MODEL, in order
      gpt-4: [local/qwen, openai/gpt-4o]
      "claude-*": anthropic/*

    default: local/llama3.2       # for a name that nothing else resolves

    namespaces:                   # several backends under one name: azure/gpt-4o
      azure: [azure-east, azure-west]

    allowed_models: [gpt-4, "claude-*"]

    keys: {team-a: ${TEAM_A_KEY}} # one of which every caller shows; or a list without names

    timeouts: {connect: 5s, silence: 30s, total: 600s}

    admin: 127.0.0.1:9090         # GET /metrics of the core; without it there is no such port

The section ``http`` is the facade's; the core does not look into it. Without a file the environment
makes the configuration (``environment``).
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portico.adapter import Adapter
from portico.config import (
    Address,
    ConfigError,
    Duration,
    Mistakes,
    Node,
    did_you_mean,
    fill,
    given,
    parse,
    read,
    value,
)
from portico.secret import Secret
from portico_core import environment
from portico_core.adapters import Adapters, installed
from portico_core.keys import Key
from portico_core.routing import STAR, Candidate, Member, Route, Routes

__all__ = ["Backend", "Config", "ConfigError", "Grpc", "Timeouts", "load"]

_BUILT_IN: Final = "(built in)"
_WITHOUT_A_FILE: Final = "backends: {dummy: {dialect: dummy}}"
_NAMES: Final = "Use letters, digits, dot, dash and underscore, 64 at most."
_BACKEND_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Grpc:
    """Where the core listens."""

    listen: Address = "0.0.0.0:50051"
    #: Seconds that running calls get to finish when the core is told to stop.
    drain: Duration = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Patience with a backend, in seconds."""

    #: For the TCP or TLS connect.
    connect: Duration = 5.0
    #: Without any byte from the backend while an answer is awaited.
    silence: Duration = 30.0
    #: For an unstreamed call in all, whichever backends it tries.
    total: Duration = 600.0
    #: From the start of a streamed attempt to its first content. None: no limit.
    first_content: Duration | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend."""

    name: str
    dialect: str
    adapter: type[Adapter]
    #: An instance of ``adapter.Settings``.
    settings: Any
    timeouts: Timeouts
    #: The models it lists. None: it is asked for them.
    models: tuple[str, ...] | None
    #: Where it stands, such as ``portico.yaml:7``.
    place: str


@dataclass(frozen=True, slots=True)
class Config:
    """All that the core needs to know."""

    grpc: Grpc
    backends: tuple[Backend, ...]
    routes: Routes
    #: What callers must show. Empty: nothing.
    keys: tuple[Key, ...] = ()
    #: HOST:PORT of the admin port. None: there is none.
    admin: Address | None = None


_SECTIONS: Final = (
    *("http", "grpc", "backends", "models", "default", "timeouts", "namespaces", "allowed_models", "keys"),
    "admin",
)
#: Members of a backend that are not its adapter's.
_COMMON: Final = ("dialect", "models", "timeouts")


def load(path: Path | None, environ: Mapping[str, str], adapters: Adapters | None = None) -> Config:
    """Read and check the configuration; raise ConfigError that tells all of its mistakes.

    ``adapters``: those that backends may name; by default the installed ones.
    """
    root = _without_a_file(environ) if path is None else read(path, environ)
    members = root.members()
    known = installed() if adapters is None else adapters
    grpc, timeouts, routes = Grpc(), Timeouts(), Routes()
    keys: tuple[Key, ...] = ()
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
        timeouts = dataclasses.replace(timeouts, **_given(Timeouts, members.get("timeouts")))
    named = members["backends"].members() if "backends" in members else {}
    if not named:
        remedy = f"For a first try, write `{_WITHOUT_A_FILE}`."
        mistakes.add(root.error("backends is missing", remedy))
    for name, node in named.items():
        with mistakes:
            backends.append(_backend(name, node, timeouts, known))
    with mistakes:
        routes = _routes(members, list(named))
    with mistakes:
        keys = _keys(members.get("keys"), environ)
    mistakes.report()
    with mistakes:
        namespaces = _namespaces(members.get("namespaces"), backends)
        allowed = _allowed(members.get("allowed_models"), environ)
        routes = dataclasses.replace(routes, namespaces=namespaces, allowed=allowed)
    mistakes.report()
    return Config(grpc, tuple(backends), routes, keys, admin)


def _without_a_file(environ: Mapping[str, str]) -> Node:
    return environment.document(environ) or parse(_WITHOUT_A_FILE, _BUILT_IN, environ, [_BUILT_IN])


def _given(kind: type[Any], node: Node | None) -> dict[str, Any]:
    return {} if node is None else given(kind, node)


def _grpc(node: Node | None) -> Grpc:
    if node is None or node.absent or node.is_mapping:
        return Grpc(**_given(Grpc, node))
    return Grpc(listen=value(Address, node))


def _admin(node: Node | None) -> Address | None:
    if node is None or node.absent:
        return None
    listen: Address = value(Address, node)
    if listen.startswith("unix:"):
        raise node.error(f"expected HOST:PORT, found {node.found}", "Scrapers speak TCP.")
    return listen


def _backend(name: str, node: Node, timeouts: Timeouts, adapters: Adapters) -> Backend:
    if not _BACKEND_NAME.fullmatch(name):
        raise node.error("is no name for a backend", _NAMES)
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
    settings, own, models = None, {}, None
    mistakes = Mistakes()
    with mistakes:
        settings = fill(adapter.Settings, node, skip=_COMMON)
    with mistakes:
        own = _given(Timeouts, members.get("timeouts"))
    with mistakes:
        if "models" in members and not members["models"].absent:
            models = value(tuple[str, ...], members["models"])
            if not all(model.isprintable() and model and STAR not in model for model in models):
                raise members["models"].error("a name is empty, or holds a * or a control character")
    mistakes.report()
    return Backend(name, dialect, adapter, settings, dataclasses.replace(timeouts, **own), models, node.place)


def _routes(members: Mapping[str, Node], backends: list[str]) -> Routes:
    models, default = members.get("models"), members.get("default")
    routes: list[Route] = []
    fallback: Route | None = None
    mistakes = Mistakes()
    for name, node in ({} if models is None else models.members()).items():
        with mistakes:
            routes.append(_route(name, node, backends))
    with mistakes:
        if default is not None and not default.absent:
            fallback = _route(STAR, default, backends)
    mistakes.report()
    return Routes(routes, backends, fallback)


def _route(name: str, node: Node, backends: list[str]) -> Route:
    if name.count(STAR) > 1:
        raise node.error("a model name has at most one *")
    nodes = node.items() if node.is_list else [node]
    if not nodes:
        raise node.error("has no candidate", "Write BACKEND/MODEL, or a list of them.")
    return Route(name, tuple(_candidate(name, each, backends) for each in nodes), node.place)


def _candidate(name: str, node: Node, backends: list[str]) -> Candidate:
    backend, _, model = node.text().partition("/")
    if not backend or not model:
        raise node.error(f"expected BACKEND/MODEL, found {node.found}")
    if backend not in backends:
        # As it is written, not as variables fill it in: one may hold a key.
        raise node.error(
            f"no backend is called {node.found.partition('/')[0]}", did_you_mean(backend, backends)
        )
    if model != STAR and STAR in model and STAR not in name:
        raise node.error(f"the * in {model} stands for nothing, as {name} has none")
    return Candidate(backend, model)


def _namespaces(node: Node | None, backends: Sequence[Backend]) -> dict[str, tuple[Member, ...]]:
    models = {backend.name: backend.models for backend in backends}
    namespaces: dict[str, tuple[Member, ...]] = {}
    mistakes = Mistakes()
    for name, each in ({} if node is None else node.members()).items():
        with mistakes:
            namespaces[name] = _namespace(name, each, models)
    mistakes.report()
    return namespaces


def _namespace(name: str, node: Node, models: Mapping[str, tuple[str, ...] | None]) -> tuple[Member, ...]:
    if not _BACKEND_NAME.fullmatch(name):
        raise node.error("is no name for a namespace", _NAMES)
    nodes = node.items() if node.is_list else [node]
    backends = [each.text() for each in nodes]
    for each, backend in zip(nodes, backends, strict=True):
        if backend not in models:
            raise each.error(f"no backend is called {each.found}", did_you_mean(backend, models))
    if name in models and name not in backends:
        raise node.error("is the name of a backend that is not in it", "Rename one of the two.")
    return tuple(Member(backend, models[backend]) for backend in backends)


def _allowed(node: Node | None, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    wanted = environment.allowed_models(environ)
    if wanted is not None:
        return tuple(wanted)
    return None if node is None or node.absent else value(tuple[str, ...], node)


def _keys(node: Node | None, environ: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the keys of the file, then those of the environment."""
    named: list[tuple[str, Secret]] = []
    if node is not None and node.is_list:
        named = [(f"key-{number}", value(Secret, each)) for number, each in enumerate(node.items(), 1)]
    elif node is not None:
        named = [(name, value(Secret, each)) for name, each in node.members().items()]
    named += [(f"env-key-{number}", key) for number, key in enumerate(environment.keys(environ), 1)]
    for name, key in named:
        if not _KEY.fullmatch(key.reveal()):
            where = node.error if node is not None and not name.startswith("env-") else ConfigError
            raise where(f"{name}: a key is printable ASCII without blanks")
    if not named and environment.needs_key(environ):
        raise ConfigError("ENABLE_AUTH is on, but there is no key. Set API_KEY_SECRET or API_KEYS.")
    return tuple(Key(name, key) for name, key in named)
