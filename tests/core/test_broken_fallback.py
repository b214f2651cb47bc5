"""An answer that broke off is not gone on with under another name than the one that its caller was told."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.v1.gateway_pb2 import StreamRequest, StreamResponse
from portico_core.candidates import Route
from portico_core.policy import HOLD, PREFILL, VERIFY, Policy
from portico_core.routing import Routes
from tests.core.cases import KEY
from tests.core.test_broken import A_CUT, BROKEN, OTHER, SAME, ContinuingAdapter
from tests.support.core import BINDINGS, Binding, Upstream, candidate, config, contents, finish, params, text

pytestmark = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)

Scripts: TypeAlias = Mapping[str, Sequence[Any]]

REST = (text(" three"), finish())


async def stream(
    binding: Binding, scripts: Scripts, models: Mapping[str, str], broken: str
) -> tuple[Sequence[StreamResponse], GatewayError | None]:
    """Ask for ``m``, whose fallback is ``n``; ``models``: each one's backends."""
    settings = config({name: Upstream(each) for name, each in scripts.items()})
    routes = [
        Route(
            name,
            tuple(candidate(f"{backend}/x") for backend in backends),
            policy=Policy(broken=broken, fallback="n" if name == "m" else None),
        )
        for name, backends in models.items()
    ]
    settings = replace(
        settings,
        routes=Routes(routes, settings.routes.backends),
        backends=tuple(replace(each, adapter=ContinuingAdapter) for each in settings.backends),
    )
    responses, error = list[StreamResponse](), None
    async with binding(settings) as gateway:
        stream = gateway.stream(StreamRequest(params=params()), CallContext("req_1"))
        try:
            async with contextlib.aclosing(stream) as answered:
                async for response in answered:
                    responses.append(response)
        except GatewayError as raised:
            error = raised
    return responses, error


def named(responses: Sequence[StreamResponse]) -> set[str]:
    return {each.header.model for each in responses if each.HasField("header")}


@pytest.mark.parametrize("mode", [VERIFY, PREFILL])
async def test_what_began_under_one_name_does_not_go_on_under_the_fallbacks(
    binding: Binding, mode: str
) -> None:
    """Though the fallback could: the first chunk has named the model already."""
    scripts: Scripts = {"a": [A_CUT, [BROKEN]], "b": [SAME if mode == VERIFY else REST]}
    responses, error = await stream(binding, scripts, {"m": "a", "n": "b"}, mode)
    assert error is not None
    assert (contents(responses), error.code, named(responses)) == ("one two", BROKEN.code, {"m"})


@pytest.mark.parametrize("mode", [VERIFY, PREFILL])
async def test_what_began_under_the_fallbacks_name_goes_on_there(binding: Binding, mode: str) -> None:
    """And is whole, under that one name."""
    scripts: Scripts = {"a": [[KEY]], "b": [A_CUT, [KEY]], "c": [SAME if mode == VERIFY else REST]}
    responses, error = await stream(binding, scripts, {"m": "a", "n": "bc"}, mode)
    assert error is None
    assert (contents(responses), named(responses)) == ("one two three", {"n"})


async def test_what_nobody_has_seen_yet_may_come_from_the_fallback(binding: Binding) -> None:
    """With its name."""
    responses, error = await stream(binding, {"a": [A_CUT, [KEY]], "b": [OTHER]}, {"m": "a", "n": "b"}, HOLD)
    assert error is None
    assert (contents(responses), named(responses)) == ("one zwei drei", {"n"})
