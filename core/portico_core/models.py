"""The models that route: by name for calls, and as the list that callers see."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from portico.errors import unknown_model
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_core.candidates import Pool
from portico_core.catalog import Catalog, OfCaller
from portico_core.routing import Routes


class Models:
    """Joins what the configuration says about names with what the backends list."""

    def __init__(self, routes: Routes, catalog: Catalog) -> None:
        self._routes = routes
        self._catalog = catalog
        self._created = int(time.time())
        #: What ``pools`` returns for the names of the configuration, at once.
        self.named: Final[Mapping[str, Sequence[Pool]]] = {
            name: (pool, *routes.after(pool))
            for name in routes.exact
            if routes.allows(name) and routes.plain(name) == name and (pool := routes.configured(name))
        }

    async def pools(self, name: str, patience: float | None) -> Sequence[Pool]:
        """Return what serves a name, and what stands in for it; raise ``unknown_model`` for no name.

        A name that only a backend's list can resolve waits a little for lists that never came;
        ``patience``: seconds at most.
        """
        routes = self._routes
        if not routes.allows(name):
            raise unknown_model(name)
        pool = routes.configured(name)
        if pool is None:
            await self._catalog.complete(patience)
            pool = routes.resolve(name, self._catalog.listed())
        return (pool, *routes.after(pool))

    async def all(self, patience: float | None, headers: Sequence[Header] = ()) -> list[Model]:
        """Return every model that has a name and is allowed: those of the configuration first.

        ``headers``: the caller's. Raises GatewayError where there is no model because a backend refused
        to list them to this caller.
        """
        await self._catalog.complete(patience)
        own = await self._catalog.of_caller(headers, patience)
        models = list(self._known(own))
        if not models and own.errors:
            raise own.errors[0]
        return models

    def names(self) -> list[str]:
        """Return the names of ``all`` as far as they are known now."""
        self._catalog.renew()
        return [model.id for model in self._known()]

    async def one(self, name: str, patience: float | None) -> Model:
        """Return a model that routes, listed or not; raise ``unknown_model`` for any other name."""
        first = (await self.pools(name, patience))[0].candidates[0]
        if name not in self._routes.exact:
            for backend, model in self._catalog.models():
                if (backend, model.id) == (first.backend, first.model):
                    return self._listed(name, backend, model)
        return self._own(name, first.backend)

    def _known(self, own: OfCaller | None = None) -> Iterator[Model]:
        routes, seen = self._routes, set(self._routes.exact)
        for name, route in routes.exact.items():
            if routes.allows(name):
                yield self._own(name, route.targets[0].backend)
        for backend, model in self._catalog.models(own):
            name = routes.public(backend, model.id)
            if name not in seen and routes.allows(name):
                seen.add(name)
                yield self._listed(name, backend, model)

    def _own(self, name: str, backend: str) -> Model:
        return Model(id=name, created=self._created, owned_by=backend, object="model")

    def _listed(self, name: str, backend: str, listed: Model) -> Model:
        model = self._own(name, backend)
        model.MergeFrom(listed)
        model.id = name
        return model
