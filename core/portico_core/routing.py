"""Which backends serve a model name, in order. Pure: the configuration in, candidates out.

A name resolves by the first of these that applies:

1. it is a name of the configuration;
2. it is ``namespace/model`` or ``backend/model``, which names one of the configuration;
3. it fits a name with a ``*``: the one with the most other characters, of equals the first;
4. the namespace ``default`` has it;
5. a backend that is in no other namespace lists it, in the order of the configuration;
6. the default, or where there is none the backends of the namespace ``default`` that take any name.

``default/model`` is the same as ``model``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from portico.errors import unknown_model
from portico_core.candidates import STAR, Candidate, Member, Pool, Route, fits

#: The namespace that a name need not tell.
DEFAULT: Final = "default"


@dataclass(frozen=True)
class Routes:
    """All that a configuration says about names."""

    routes: Sequence[Route] = ()
    #: Names of the backends, in the order of the configuration.
    backends: Sequence[str] = ()
    #: A route named ``*``, for names that nothing else resolves.
    default: Route | None = None
    #: Several backends under one name: a model is served by those of them that have it, in order.
    namespaces: Mapping[str, Sequence[Member]] = field(default_factory=dict)
    #: The names that callers may ask for, some with a star. None: any.
    allowed: Sequence[str] | None = None

    @cached_property
    def exact(self) -> Mapping[str, Route]:
        """The routes without a star, by name, in the order of the configuration."""
        return {route.name: route for route in self.routes if STAR not in route.name}

    @cached_property
    def _exact(self) -> Mapping[str, Pool]:
        return {
            name: Pool(route.candidates(name), route.policy, f"a name of models ({route.place})")
            for name, route in self.exact.items()
        }

    @cached_property
    def starred(self) -> Sequence[Route]:
        """The routes with a star, in the order in which they are tried."""
        return sorted(
            (route for route in self.routes if STAR in route.name), key=lambda route: -len(route.name)
        )

    def configured(self, name: str) -> Pool | None:
        """Return what the configuration alone makes of a name (1 to 4). None: nothing."""
        name = self.plain(name)
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        prefix, _, model = name.partition("/")
        if model and prefix in self.namespaces:
            return _found(self._of_namespace(prefix, model), f"a model of the namespace {prefix}")
        if model and prefix in self.backends:
            return Pool((Candidate(prefix, model),), rule=f"a model of the backend {prefix}")
        for route in self.starred:
            if route.fits(name):
                return Pool(route.candidates(name), route.policy, f"fits {route.name} ({route.place})")
        members = self._of_namespace(DEFAULT, name, named=True)
        return _found(members, f"a model that the namespace {DEFAULT} names")

    def after(self, pool: Pool) -> Sequence[Pool]:
        """Return what stands in for a pool once all of its candidates have failed, in order.

        Its candidates bear the public name that they answer by. Names that callers may not ask for are
        left out.
        """
        return () if pool.policy.fallback is None else self._chains[pool.policy.fallback]

    @cached_property
    def _chains(self) -> Mapping[str, Sequence[Pool]]:
        """For each name that is a fallback: what it and its own fallbacks stand for."""
        routes = (*self.routes, *(() if self.default is None else (self.default,)))
        names = {route.policy.fallback for route in routes if route.policy.fallback is not None}
        return {
            name: tuple(
                replace(pool, candidates=tuple(replace(each, public=public) for each in pool.candidates))
                for public, pool in self.fallbacks(name)
                if pool is not None and self.allows(public)
            )
            for name in names
        }

    def fallbacks(self, name: str) -> Sequence[tuple[str, Pool | None]]:
        """Return a name that is a fallback, and its own fallbacks, each with what it stands for.

        The last one stands for nothing where it does not resolve, or is one of the names before it.
        """
        chain: dict[str, Pool | None] = {}
        following: str | None = name
        while following is not None:
            if following in chain:
                return (*chain.items(), (following, None))
            pool = chain[following] = self.configured(following)
            following = None if pool is None else pool.policy.fallback
        return tuple(chain.items())

    def plain(self, name: str) -> str:
        """Return a name without the namespace that it need not tell."""
        return name.removeprefix(f"{DEFAULT}/") if DEFAULT in self.namespaces else name

    def public(self, backend: str, model: str) -> str:
        """Return the shortest name, other than one of a route, for what a backend lists."""
        namespaces = self.namespaces_of.get(backend, ())
        prefix, slash, _ = model.partition("/")
        # With a slash a model may look like one of another backend, and would lead there.
        if DEFAULT in namespaces and not (slash and (prefix in self.namespaces or prefix in self.backends)):
            return model
        # A namespace may take some of a backend's models alone.
        serving = (
            each
            for each in namespaces
            if each != DEFAULT and Candidate(backend, model) in self._of_namespace(each, model)
        )
        return f"{next(serving, backend)}/{model}"

    @cached_property
    def namespaces_of(self) -> Mapping[str, Sequence[str]]:
        """The namespaces of the backends that are in any."""
        found: dict[str, list[str]] = {}
        for name, members in self.namespaces.items():
            for member in members:
                found.setdefault(member.backend, []).append(name)
        return found

    def bare(self, backend: str) -> bool:
        """Tell whether what a backend lists may be asked for without a prefix."""
        return DEFAULT in self.namespaces_of.get(backend, (DEFAULT,))

    def allows(self, name: str) -> bool:
        """Tell whether callers may ask for a name. An entry without a prefix holds under any."""
        if self.allowed is None:
            return True
        name = self.plain(name)
        prefix, _, model = name.partition("/")
        prefixed = model and (prefix in self.namespaces or prefix in self.backends)
        names = (name, model) if prefixed else (name,)
        return any(fits(self.plain(entry), each) for entry in self.allowed for each in names)

    def _of_namespace(self, namespace: str, model: str, *, named: bool = False) -> tuple[Candidate, ...]:
        """Return the backends of a namespace for a model; ``named``: those alone that name it."""
        return tuple(
            Candidate(member.backend, model)
            for member in self.namespaces.get(namespace, ())
            if (not named if member.models is None else model in member.models)
        )

    def resolve(self, name: str, listed: Mapping[str, str]) -> Pool:
        """Return what ``name`` stands for; raise ``unknown_model`` where that is nothing.

        ``listed``: model -> the first backend that lists it.
        """
        pool = self.configured(name)
        if pool is not None:
            return pool
        name = self.plain(name)
        if name in listed:
            return Pool((Candidate(listed[name], name),), rule=f"{listed[name]} lists it")
        if self.default is not None and name:
            rule = f"default ({self.default.place}), as nothing else has the name"
            return Pool(self.default.candidates(name), self.default.policy, rule)
        # What another namespace does not have is not meant for this one.
        if name and name.partition("/")[0] not in self.namespaces:
            pool = _found(self._of_namespace(DEFAULT, name), f"the namespace {DEFAULT} takes any name")
        if pool is None:
            raise unknown_model(name)
        return pool


def _found(candidates: tuple[Candidate, ...], rule: str) -> Pool | None:
    return Pool(candidates, rule=rule) if candidates else None


def first_to_list(listings: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Turn (backend, models) in the order of the configuration into model -> first backend."""
    first: dict[str, str] = {}
    for backend, models in listings:
        for model in models:
            first.setdefault(model, backend)
    return first
