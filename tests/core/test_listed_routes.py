"""The list of models is exactly what routes, whatever the configuration and the backends say."""

import asyncio
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from portico_core.backends import build
from portico_core.candidates import Candidate, Member, Route
from portico_core.catalog import Catalog
from portico_core.models import Models
from portico_core.policy import Policy
from portico_core.routing import Routes
from tests.support.core import Upstream, config

BACKENDS = ("a", "b")
MODELS = st.sampled_from(["x", "y", "v/x", "a/x"])
NAMES = st.sampled_from(["x", "y", "m", "n", "a/x", "x*", "*y", "n*", "s/*", "b/*"])
TARGETS = st.builds(Candidate, st.sampled_from(BACKENDS), MODELS)
POLICIES = st.builds(Policy, fallback=st.none() | st.sampled_from(["x", "m", "n", "a/x", "nobody"]))
ROUTES = st.lists(
    st.builds(lambda name, target, policy: Route(name, (target,), policy=policy), NAMES, TARGETS, POLICIES),
    max_size=3,
    unique_by=lambda route: route.name,
)
MEMBERS = st.lists(
    st.builds(Member, st.sampled_from(BACKENDS), st.none() | st.lists(MODELS, max_size=2).map(tuple)),
    max_size=2,
    unique_by=lambda member: member.backend,
)
NAMESPACES = st.dictionaries(st.sampled_from(["default", "s"]), MEMBERS, max_size=2)
ALLOWED = st.none() | st.lists(st.sampled_from(["x", "y", "m", "a/x", "s/x", "v/*", "*"]), max_size=3)
LISTED = st.fixed_dictionaries({name: st.lists(MODELS, max_size=3, unique=True) for name in BACKENDS})


@settings(deadline=None)
@given(ROUTES, NAMESPACES, ALLOWED, LISTED)
def test_what_is_listed_routes_and_what_has_a_name_of_its_own_is_listed(
    routes: Sequence[Route],
    namespaces: Mapping[str, Sequence[Member]],
    allowed: Sequence[str] | None,
    listed: dict[str, Sequence[str]],
) -> None:
    """Each name once, without a star, and where it leads a backend lists it or the configuration says so."""
    made = config({name: Upstream() for name in BACKENDS}, models={}, listed=listed)
    table = Routes(routes, BACKENDS, namespaces=namespaces, allowed=allowed)
    catalog = Catalog(build(made.backends).values(), table.bare)
    models = Models(table, catalog)

    def named(candidate: Candidate) -> bool:
        members = [member for each in namespaces.values() for member in each]
        return any(
            candidate.backend == member.backend and candidate.model in (member.models or ())
            for member in members
        )

    async def check() -> None:
        names = [model.id for model in await models.all(None)]
        assert len(set(names)) == len(names)
        for name in names:
            pool = (await models.pools(name, None))[0]
            assert "*" not in name
            assert (await models.one(name, None)).id == name
            by_route = name in table.exact or any(route.fits(name) for route in table.starred)
            leads = [each.model in listed[each.backend] or named(each) for each in pool.candidates]
            assert by_route or any(leads), f"{name} leads to {pool}"
        own = [name for name in table.exact if table.allows(name)]
        assert names[: len(own)] == own

    asyncio.run(check())
