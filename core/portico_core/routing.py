"""Which backends serve a model name, in order. Pure: the configuration in, candidates out.

A name resolves by the first of these that applies:

1. it is a name of the configuration;
2. it is ``backend/model``, which names a backend of the configuration;
3. it fits a name with a ``*``: the one with the most other characters, of equals the first;
4. a backend lists it, in the order of the configuration;
5. the default.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from portico.errors import unknown_model

if TYPE_CHECKING:
    from portico_core.config import Config

#: In a route's name: any text, or none. As the whole model of a candidate: the name that was asked
#: for. Inside a longer model: what the star of the route's name stands for.
STAR: Final = "*"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend, and the model to ask it for."""

    backend: str
    model: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """A public model name, which may have one star, and what serves it."""

    name: str
    #: In order; their models may have a star too.
    targets: tuple[Candidate, ...]
    #: Where it stands, such as ``portico.yaml:7``.
    place: str = ""

    def fits(self, name: str) -> bool:
        """Tell whether this route, whose name has a star, covers ``name``."""
        prefix, _, suffix = self.name.partition(STAR)
        return len(name) >= len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix)

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """Return the targets, with their stars filled in for ``name``."""
        prefix, _, suffix = self.name.partition(STAR)
        starred = name[len(prefix) : len(name) - len(suffix)]
        return tuple(
            Candidate(target.backend, name if target.model == STAR else target.model.replace(STAR, starred))
            for target in self.targets
        )


@dataclass(frozen=True)
class Routes:
    """All that a configuration says about names."""

    routes: Sequence[Route] = ()
    #: Names of the backends, in the order of the configuration.
    backends: Sequence[str] = ()
    #: A route named ``*``, for names that nothing else resolves.
    default: Route | None = None

    @cached_property
    def exact(self) -> Mapping[str, Route]:
        """The routes without a star, by name, in the order of the configuration."""
        return {route.name: route for route in self.routes if STAR not in route.name}

    @cached_property
    def _exact(self) -> Mapping[str, tuple[Candidate, ...]]:
        return {name: route.candidates(name) for name, route in self.exact.items()}

    @cached_property
    def starred(self) -> Sequence[Route]:
        """The routes with a star, in the order in which they are tried."""
        return sorted(
            (route for route in self.routes if STAR in route.name), key=lambda route: -len(route.name)
        )

    def configured(self, name: str) -> tuple[Candidate, ...]:
        """Return the candidates that the configuration alone gives (1 to 3); none where it gives none."""
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        backend, _, model = name.partition("/")
        if model and backend in self.backends:
            return (Candidate(backend, model),)
        for route in self.starred:
            if route.fits(name):
                return route.candidates(name)
        return ()

    def resolve(self, name: str, listed: Mapping[str, str]) -> tuple[Candidate, ...]:
        """Return the candidates for ``name``, at least one; raise ``unknown_model`` where there is none.

        ``listed``: model -> the first backend that lists it.
        """
        candidates = self.configured(name)
        if candidates:
            return candidates
        if name in listed:
            return (Candidate(listed[name], name),)
        if self.default is not None and name:
            return self.default.candidates(name)
        raise unknown_model(name)


def first_to_list(listings: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Turn (backend, models) in the order of the configuration into model -> first backend."""
    first: dict[str, str] = {}
    for backend, models in listings:
        for model in models:
            first.setdefault(model, backend)
    return first


def route_rows(config: "Config") -> list[tuple[str, str, str]]:
    """Return what routes, as rows (name, candidates, where from) in the order in which names resolve."""
    routes, backends = config.routes, config.backends
    places = {backend.name: backend.place for backend in backends}
    listed = first_to_list((backend.name, backend.models or ()) for backend in backends)
    return [
        *map(_row, routes.exact.values()),
        *((f"{name}/…", name, place) for name, place in places.items()),
        *map(_row, routes.starred),
        *(
            (model, f"{name}/{model}", places[name])
            for model, name in listed.items()
            if not routes.configured(model)
        ),
        *(
            (f"(what {backend.name} lists)", backend.name, backend.place)
            for backend in backends
            if backend.models is None
        ),
        *([("(any other)", *_row(routes.default)[1:])] if routes.default else []),
    ]


def _row(route: Route) -> tuple[str, str, str]:
    return route.name, ", ".join(map(str, route.targets)), route.place
