"""The label ``model`` of metrics: what it may be, as callers may ask for any name (docs/decisions/0007)."""

from collections.abc import Collection
from typing import Final

from portico_core.catalog import Catalog
from portico_core.routing import Routes

#: Stands for every model name that neither the configuration nor a backend's list knows.
OTHER: Final = "other"


class ModelLabels:
    """Bounds the label ``model``: names of the configuration, names that backends list to all, or OTHER."""

    def __init__(self, routes: Routes, catalog: Catalog) -> None:
        self._routes = routes
        self._catalog = catalog
        self._listed: object = None
        self._names: Collection[str] = ()

    def label(self, name: str) -> str:
        """Return the label for a name that was asked for; a name that fits one with a star counts as that."""
        if not name or name in self._routes.exact:
            return name
        name = self._routes.plain(name)
        if name in self._known():
            return name
        prefix = name.partition("/")[0]
        if prefix not in self._routes.namespaces and prefix not in self._routes.backends:
            for route in self._routes.starred:
                if route.fits(name):
                    return route.name
        return OTHER

    def has(self, label: str) -> bool:
        """Tell whether it still is one of the labels."""
        starred = any(route.name == label for route in self._routes.starred)
        return starred or label in ("", OTHER) or label in self._known()

    def _known(self) -> Collection[str]:
        listed = self._catalog.listed()
        if listed is not self._listed:
            # The catalog makes a new mapping whenever a list has changed.
            routes = self._routes
            self._listed = listed
            self._names = {
                *routes.exact,
                *(str(target) for route in routes.exact.values() for target in route.targets),
                *(
                    f"{name}/{each}"
                    for name, members in routes.namespaces.items()
                    for member in members
                    for each in member.models or ()
                ),
                *listed,
                *(
                    name
                    for backend, model in self._catalog.models()
                    for name in (f"{backend}/{model.id}", routes.plain(routes.public(backend, model.id)))
                ),
            }
        return self._names
