"""The sections of model names: ``models``, ``default``, ``namespaces``, ``allowed_models``."""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.config import Mistakes, Node, did_you_mean, fill, value
from portico_core import environment
from portico_core.candidates import STAR, Member, Route
from portico_core.config.backends import check_name
from portico_core.config.candidates import candidates_of
from portico_core.config.settings import Backend
from portico_core.policy import USUAL, Policy
from portico_core.routing import Routes

#: Of a model that says more than its candidates.
_CANDIDATES: Final = "candidates"
_FALLBACK: Final = "fallback"


def routes_of(members: Mapping[str, Node], backends: list[str]) -> Routes:
    """Read ``models`` and ``default``; ``members``: all sections."""
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
    policy = USUAL
    if node.is_mapping:
        policy = fill(Policy, node, skip=(_CANDIDATES,))
        if _CANDIDATES not in node.members():
            raise node.error(f"{_CANDIDATES} is missing", f"Add `{_CANDIDATES}: BACKEND/MODEL` here.")
        node = node.members()[_CANDIDATES]
    nodes = node.items() if node.is_list else [node]
    if not nodes:
        raise node.error("has no candidate", "Write BACKEND/MODEL, or a list of them.")
    return Route(name, candidates_of(name, nodes, policy, backends), node.place, policy)


def check_fallbacks(members: Mapping[str, Node], routes: Routes) -> None:
    """Refuse fallbacks that do not resolve, or come back to a name before them; ``members``: all sections."""
    models, default = members.get("models"), members.get("default")
    nodes = [] if models is None else list(models.members().values())
    mistakes = Mistakes()
    for node in nodes if default is None else [*nodes, default]:
        fallback = node.members().get(_FALLBACK) if node.is_mapping else None
        if fallback is None or fallback.absent:
            continue
        *before, (last, pool) = routes.fallbacks(fallback.text())
        if pool is not None:
            continue
        if last in dict(before):
            mistakes.add(fallback.error(f"leads back to {last}", "Fallbacks must come to an end."))
        else:
            remedy = did_you_mean(last, routes.exact) if routes.exact else ""
            mistakes.add(fallback.error(f"the configuration does not say what {last} is", remedy))
    mistakes.report()


def namespaces_of(node: Node | None, backends: Sequence[Backend]) -> dict[str, tuple[Member, ...]]:
    """Read ``namespaces``."""
    models = {backend.name: backend.models for backend in backends}
    namespaces: dict[str, tuple[Member, ...]] = {}
    mistakes = Mistakes()
    for name, each in ({} if node is None else node.members()).items():
        with mistakes:
            namespaces[name] = _namespace(name, each, models)
    mistakes.report()
    return namespaces


def _namespace(name: str, node: Node, models: Mapping[str, tuple[str, ...] | None]) -> tuple[Member, ...]:
    check_name(name, node, "namespace")
    nodes = node.items() if node.is_list else [node]
    backends = [each.text() for each in nodes]
    for each, backend in zip(nodes, backends, strict=True):
        if backend not in models:
            raise each.error(f"no backend is called {each.found}", did_you_mean(backend, models))
    if name in models and name not in backends:
        raise node.error("is the name of a backend that is not in it", "Rename one of the two.")
    return tuple(Member(backend, models[backend]) for backend in backends)


def allowed_of(node: Node | None, environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names that callers may ask for, of the environment before those of the file."""
    wanted = environment.allowed_models(environ)
    if wanted is not None:
        return tuple(wanted)
    return None if node is None or node.absent else value(tuple[str, ...], node)
