"""Names to candidates: the order of the rules, stars, and what holds for any configuration."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico_core.candidates import Candidate, Member, Route
from portico_core.policy import USUAL, Policy
from portico_core.routing import Routes, first_to_list


def c(text: str) -> Candidate:
    backend, _, model = text.partition("/")
    return Candidate(backend, model)


def route(name: str, *targets: str) -> Route:
    return Route(name, tuple(map(c, targets)))


ROUTES = Routes(
    [
        route("gpt-4", "local/qwen", "cloud/gpt-4o"),
        route("local/special", "cloud/special"),
        route("claude-*", "cloud/*"),
        route("claude-*-latest", "cloud/anthropic.*", "local/*"),
        route("*-mini", "local/small"),
        route("same", "cloud/*"),
    ],
    ["local", "cloud"],
    route("*", "local/fallback"),
)
LISTED = {"listed": "cloud", "gpt-4": "cloud", "claude-1": "local"}


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("gpt-4", ["local/qwen", "cloud/gpt-4o"]),
        ("local/special", ["cloud/special"]),
        ("local/anything", ["local/anything"]),
        ("local/a/b:c", ["local/a/b:c"]),
        ("claude-1", ["cloud/claude-1"]),
        ("claude-", ["cloud/claude-"]),
        ("claude-3-latest", ["cloud/anthropic.3", "local/claude-3-latest"]),
        ("claude-mini", ["cloud/claude-mini"]),
        ("x-mini", ["local/small"]),
        ("same", ["cloud/same"]),
        ("listed", ["cloud/listed"]),
        ("other/x", ["local/fallback"]),
        ("local/", ["local/fallback"]),
        ("/local", ["local/fallback"]),
        ("GPT-4", ["local/fallback"]),
    ],
)
def test_a_name_resolves_by_the_first_rule_that_applies(name: str, candidates: list[str]) -> None:
    """Exact, backend/model, longest star, listed, default: in this order."""
    assert [str(each) for each in ROUTES.resolve(name, LISTED).candidates] == candidates


def test_of_equally_long_stars_the_first_wins() -> None:
    """The order of the configuration settles what length does not."""
    routes = Routes([route("a*c", "x/1"), route("ab*", "x/2")], ["x"])
    assert routes.resolve("abc", {}).candidates == (c("x/1"),)


def test_a_star_covers_no_character_twice() -> None:
    """A prefix and a suffix do not overlap in a name."""
    routes = Routes([route("ab*ba", "x/*")], ["x"])
    with pytest.raises(GatewayError):
        routes.resolve("aba", {})
    assert routes.resolve("abba", {}).candidates == (c("x/abba"),)


def test_an_unknown_name_is_404() -> None:
    """Without a default, what nothing resolves does not exist."""
    with pytest.raises(GatewayError) as caught:
        Routes([route("a", "x/y")], ["x"]).resolve("b", {"c": "x"})
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (
        404,
        "model_not_found",
        "model",
    )


def test_the_first_backend_to_list_a_model_has_it() -> None:
    """Of two lists with one name, that of the first backend counts."""
    assert first_to_list([("a", ["x", "y"]), ("b", ["y", "z"])]) == {"x": "a", "y": "a", "z": "b"}


def test_only_what_a_route_gives_has_its_policy() -> None:
    """A name that a backend has by itself is none of the default's or of a star's."""
    drop, refuse = Policy(unsupported="drop"), Policy(unknown="refuse")
    star = dataclasses.replace(route("*x", "b/y"), policy=drop)
    default = dataclasses.replace(route("*", "b/z"), policy=refuse)
    routes = Routes([star], ["b"], default)
    policies = {
        name: routes.resolve(name, {"listed": "b"}).policy for name in ("ax", "b/x", "listed", "other")
    }
    assert policies == {"ax": drop, "b/x": USUAL, "listed": USUAL, "other": refuse}


def test_a_default_may_have_a_fallback() -> None:
    """And a fallback may be any name that the configuration resolves."""
    default = dataclasses.replace(route("*", "b/z"), policy=Policy(fallback="c/y"))
    routes = Routes([], ["b", "c"], default)
    (then,) = routes.after(routes.resolve("other", {}))
    assert then.candidates == (Candidate("c", "y", public="c/y"),)
    assert not routes.after(routes.resolve("b/x", {}))


NAMES = st.text("ab/-*", min_size=1, max_size=5)
BACKENDS = ["a", "b"]
TARGETS = st.builds(Candidate, st.sampled_from(BACKENDS), NAMES)
ROUTE = st.builds(
    Route, NAMES.filter(lambda name: name.count("*") < 2), st.tuples(TARGETS) | st.tuples(TARGETS, TARGETS)
)


@st.composite
def routes_of_all_kinds(draw: st.DrawFn) -> Routes:
    """Any routes; names are unique, as in a file."""
    routes = draw(st.lists(ROUTE, max_size=6, unique_by=lambda each: each.name))
    default = draw(st.none() | st.builds(Route, st.just("*"), st.tuples(TARGETS)))
    return Routes(routes, BACKENDS, default)


ASKED = st.text("ab/-", min_size=1, max_size=6)
LISTS = st.dictionaries(ASKED, st.sampled_from(BACKENDS), max_size=3)


@given(routes_of_all_kinds(), ASKED, LISTS)
def test_what_is_resolved_is_complete(routes: Routes, name: str, listed: dict[str, str]) -> None:
    """Any name gets candidates without stars at known backends, or is 404."""
    if routes.default is None and name not in listed and not routes.configured(name):
        with pytest.raises(GatewayError):
            routes.resolve(name, listed)
    else:
        candidates = routes.resolve(name, listed).candidates
        assert candidates
        assert all(each.backend in BACKENDS and "*" not in each.model for each in candidates)


@given(routes_of_all_kinds(), ASKED, LISTS)
def test_the_configuration_goes_before_lists_and_default(
    routes: Routes, name: str, listed: dict[str, str]
) -> None:
    """What the configuration resolves does not change with what backends list or the default is."""
    configured = routes.configured(name)
    if configured:
        assert routes.resolve(name, listed) == configured
        assert Routes(routes.routes, routes.backends).resolve(name, {}) == configured


@given(routes_of_all_kinds(), ASKED)
def test_no_longer_star_fits(routes: Routes, name: str) -> None:
    """When a star resolves a name, no longer one would have."""
    fitting = [each for each in routes.routes if "*" in each.name and each.fits(name)]
    by_star = name not in routes.exact and name.partition("/")[0] not in BACKENDS
    if fitting and by_star:
        longest = max(len(each.name) for each in fitting)
        first = next(each for each in fitting if len(each.name) == longest)
        pool = routes.configured(name)
        assert pool is not None
        assert pool.candidates == first.candidates(name)


NAMESPACED = Routes(
    [route("fast", "east/small"), route("azure-*", "west/*")],
    ["east", "west", "any", "lone"],
    namespaces={
        "azure": (Member("east", ("a", "both")), Member("west", ("b", "both"))),
        "open": (Member("any"), Member("west", ("b",))),
        "default": (Member("west", ("b", "fast")), Member("any")),
    },
)


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("azure/a", ["east/a"]),
        ("azure/both", ["east/both", "west/both"]),
        ("open/b", ["any/b", "west/b"]),
        ("open/x/y", ["any/x/y"]),
        ("b", ["west/b"]),
        ("default/b", ["west/b"]),
        ("fast", ["east/small"]),
        ("default/fast", ["east/small"]),
        ("default/azure-1", ["west/azure-1"]),
        ("lone/x", ["lone/x"]),
        ("east/x", ["east/x"]),
        ("default/seen", ["any/seen"]),
        ("x/y", ["any/x/y"]),
        ("default/a", ["any/a"]),
    ],
)
def test_a_namespace_stands_for_those_of_its_backends_that_have_the_model(
    name: str, candidates: list[str]
) -> None:
    """In order; a backend that names no models takes any; `default/` says nothing."""
    assert [str(each) for each in NAMESPACED.resolve(name, {"seen": "any"}).candidates] == candidates


@pytest.mark.parametrize("name", ["azure/x", "azure/", "default/azure/x", "default/", ""])
def test_a_namespace_serves_no_model_that_none_of_its_backends_has(name: str) -> None:
    with pytest.raises(GatewayError):
        NAMESPACED.resolve(name, {})


@pytest.mark.parametrize(
    ("allowed", "names", "others"),
    [
        (None, ["a", "azure/a", "anything"], []),
        (["a"], ["a", "azure/a", "default/a", "lone/a"], ["b", "azure/b", "x/a", "aa"]),
        (["azure/a"], ["azure/a"], ["a", "open/a", "lone/a"]),
        (["default/a"], ["a", "default/a"], ["b"]),
        (["gpt-*"], ["gpt-4", "azure/gpt-4"], ["azure/x-gpt-4", "o1"]),
        ([], [], ["a", ""]),
    ],
)
def test_a_restriction_holds_under_any_prefix_unless_it_tells_one(
    allowed: list[str] | None, names: list[str], others: list[str]
) -> None:
    routes = dataclasses.replace(NAMESPACED, allowed=allowed)
    assert all(map(routes.allows, names))
    assert not any(map(routes.allows, others))
