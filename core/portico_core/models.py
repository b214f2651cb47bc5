"""The models that route: by name for calls, and as the list that callers see."""

import time
from collections.abc import Iterator, Sequence

from portico.errors import unknown_model
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_core.catalog import Catalog, OfCaller
from portico_core.policy import Policy
from portico_core.routing import Candidate, Routes


class Models:
    """Joins what the configuration says about names with what the backends list."""

    def __init__(self, routes: Routes, catalog: Catalog) -> None:
        self._routes = routes
        self._catalog = catalog
        self._created = int(time.time())

    async def candidates(self, name: str, patience: float | None) -> Sequence[Candidate]:
        """Return who serves a name, in order; raise ``unknown_model`` where nobody does.

        A name that only a backend's list can resolve waits a little for lists that never came;
        ``patience``: seconds at most.
        """
        if not self._routes.allows(name):
            raise unknown_model(name)
        configured = self._routes.configured(name)
        if configured:
            return configured
        await self._catalog.complete(patience)
        return self._routes.resolve(name, self._catalog.listed())

    def policy(self, name: str) -> Policy:
        """Return what becomes of the parameters of a name's requests."""
        return self._routes.policy(name)

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
        first = (await self.candidates(name, patience))[0]
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
