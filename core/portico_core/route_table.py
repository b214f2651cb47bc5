"""What routes, as a table for people. Pure."""

from collections.abc import Mapping, Sequence

from portico_core.candidates import STAR, Candidate, Member, Pool, Route
from portico_core.config import Config
from portico_core.pools.balance import shares
from portico_core.pools.order import groups
from portico_core.routing import DEFAULT, Routes, first_to_list


def route_rows(config: Config) -> list[tuple[str, str, str]]:
    """Return what routes, as rows (name, candidates, where from) in the order in which names resolve."""
    routes, backends = config.routes, config.backends
    places = {backend.name: backend.place for backend in backends}
    listed = first_to_list(
        (backend.name, backend.models or ()) for backend in backends if routes.bare(backend.name)
    )
    return [
        *map(_row, routes.exact.values()),
        *(
            (f"{name}/{model}", _in_words(pool), places[pool.candidates[0].backend])
            for name, members in routes.namespaces.items()
            if name != DEFAULT
            for model in _models_of(members)
            if (pool := routes.configured(f"{name}/{model}"))
        ),
        *((f"{name}/…", name, place) for name, place in places.items() if name not in routes.namespaces),
        *map(_row, routes.starred),
        *(
            (model, _in_words(pool), places[pool.candidates[0].backend])
            for model in _models_of(routes.namespaces.get(DEFAULT, ()))
            if model not in routes.exact and (pool := routes.configured(model))
        ),
        *(
            (model, f"{name}/{model}", places[name])
            for model, name in listed.items()
            if not routes.configured(model)
        ),
        *(
            (f"(what {backend.name} lists)", backend.name, backend.place)
            for backend in backends
            if backend.models is None and routes.bare(backend.name)
        ),
        *_any_other(routes, places),
    ]


def _any_other(routes: Routes, places: Mapping[str, str]) -> list[tuple[str, str, str]]:
    if routes.default is not None:
        return [("(any other)", *_row(routes.default)[1:])]
    takers = [member.backend for member in routes.namespaces.get(DEFAULT, ()) if member.models is None]
    return (
        [("(any other)", ", ".join(f"{each}/{STAR}" for each in takers), places[takers[0]])] if takers else []
    )


def _models_of(members: Sequence[Member]) -> list[str]:
    """Return the models that a namespace names; last "…", where it takes others too."""
    named = {model: None for member in members for model in member.models or ()}
    return [*named, *(["…"] if any(member.models is None for member in members) else [])]


def _row(route: Route) -> tuple[str, str, str]:
    return route.name, _in_words(Pool(route.targets, route.policy)), route.place


def _in_words(pool: Pool) -> str:
    """Say who is tried, in order, and which part of the calls goes where: ``90% a/x + 10% b/x, c/x``."""
    fallback = "" if pool.policy.fallback is None else f", then {pool.policy.fallback}"
    return ", ".join(map(_group_in_words, groups(pool.candidates, pool.policy))) + fallback


def _group_in_words(group: Sequence[Candidate]) -> str:
    if len(group) == 1:
        return str(group[0])
    return " + ".join(f"{share:.0%} {each}" for share, each in zip(shares(group), group, strict=True))
