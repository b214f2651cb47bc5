"""What differs between two configurations, for whoever asked for the second. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from portico.v1.admin_pb2 import Changes, ReloadResponse
from portico_core.candidates import STAR
from portico_core.config import Config
from portico_core.routing import Routes


def changes(old: Config, new: Config) -> ReloadResponse:
    """Tell what a gateway that goes over from ``old`` to ``new`` does differently. Names no secret."""
    told = {
        "grpc.max_calls": old.grpc.max_calls != new.grpc.max_calls,
        "namespaces": old.routes.namespaces != new.routes.namespaces,
        "allowed_models": old.routes.allowed != new.routes.allowed,
        "keys": old.keys != new.keys,
        "admin_keys": old.admin_keys != new.admin_keys,
    }
    # How many calls may be under way is asked of the configuration at each call.
    listens = replace(new.grpc, max_calls=old.grpc.max_calls)
    waits = {"grpc": old.grpc != listens, "admin": old.admin != new.admin}
    return ReloadResponse(
        backends=_named(_backends(old), _backends(new)),
        models=_named(_models(old.routes), _models(new.routes)),
        sections=[name for name, differs in told.items() if differs],
        restart=[name for name, differs in waits.items() if differs],
    )


def _named(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    return Changes(
        added=[name for name in new if name not in old],
        changed=[name for name in new if name in old and new[name] != old[name]],
        removed=[name for name in old if name not in new],
    )


# Where something stands in the file makes no difference.


def _backends(config: Config) -> Mapping[str, Any]:
    return {each.name: replace(each, place="") for each in config.backends}


def _models(routes: Routes) -> Mapping[str, Any]:
    named = {each.name: replace(each, place="") for each in routes.routes}
    return named if routes.default is None else named | {STAR: replace(routes.default, place="")}
