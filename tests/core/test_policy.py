"""What becomes of parameters that a backend cannot honour, and of members that nobody knows."""

import dataclasses

import pytest

from portico.adapter import UpstreamCall
from portico.errors import GatewayError
from portico.gateway import CallContext
from portico_core.candidates import Route
from portico_core.config import Config
from portico_core.policy import Policy
from tests.core.cases import BROKEN
from tests.support.core import BINDINGS, Binding, Upstream, answer, ask, candidate, config, direct


def refusing(call: UpstreamCall) -> None:
    """Play a backend that knows no ``n``."""
    call.unsupported("several answers", "n")


def with_policy(upstreams: dict[str, Upstream], policy: Policy) -> Config:
    """Return a configuration whose model ``m`` has a policy."""
    settings = config(upstreams)
    route = Route("m", tuple(candidate(f"{name}/{name}-model") for name in upstreams), policy=policy)
    return dataclasses.replace(settings, routes=dataclasses.replace(settings.routes, routes=[route]))


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS.keys())
async def test_what_a_backend_cannot_do_is_refused_by_name(binding: Binding) -> None:
    """The error names the parameter and the backend, and nothing else is tried."""
    upstreams = {"a": Upstream([[refusing, answer("hello")]]), "b": Upstream([[answer("hello")]])}
    async with binding(config(upstreams)) as gateway:
        with pytest.raises(GatewayError) as raised:
            await gateway.chat(ask(n=2), CallContext(""))
    error = raised.value
    assert (error.http_status, error.code, error.param) == (400, "unsupported_parameter", "n")
    assert str(error) == "The backend a of this model does not support several answers."
    assert not upstreams["b"].calls


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS.keys())
async def test_a_model_may_have_it_dropped_and_the_answer_says_so(binding: Binding) -> None:
    """The receipt says so too."""
    upstreams = {"a": Upstream([[refusing, refusing, answer("hello")]])}
    context = CallContext("")
    async with binding(with_policy(upstreams, Policy(unsupported="drop"))) as gateway:
        response = await gateway.chat(ask(n=2), context)
    assert list(response.served.dropped) == ["n"]
    assert context.receipt is not None
    assert list(context.receipt.served.dropped) == ["n"]


async def test_only_what_was_dropped_for_who_serves_is_told() -> None:
    """A candidate that failed dropped it; the next one did not need to."""
    upstreams = {"a": Upstream([[refusing, BROKEN]]), "b": Upstream([[answer("hello")]])}
    async with direct(with_policy(upstreams, Policy(unsupported="drop"))) as gateway:
        response = await gateway.chat(ask(n=2), CallContext(""))
    assert response.served.backend == "b"
    assert not response.served.dropped


EXTRA = '{"top_k":4,"mirostat":1}'


async def test_unknown_members_are_sent_on() -> None:
    """That is what a model does that says nothing."""
    upstream = Upstream([[answer("hello")]])
    async with direct(config({"a": upstream})) as gateway:
        response = await gateway.chat(ask(extra_json=EXTRA), CallContext(""))
    assert upstream.calls[0].params.extra_json == EXTRA
    assert not response.served.dropped


async def test_unknown_members_are_dropped_at_every_depth() -> None:
    """The caller's own message is left as it was."""
    upstream = Upstream([[answer("hello")]])
    request = ask(extra_json=EXTRA)
    request.params.messages[0].extra_json = '{"cache_control":{"type":"ephemeral"}}'
    before = request.SerializeToString()
    async with direct(with_policy({"a": upstream}, Policy(unknown="drop"))) as gateway:
        response = await gateway.chat(request, CallContext(""))
    sent = upstream.calls[0].params
    assert (sent.extra_json, sent.messages[0].extra_json, sent.messages[0].content) == ("", "", "hi")
    assert list(response.served.dropped) == ["messages[0].cache_control", "top_k", "mirostat"]
    assert request.SerializeToString() == before


async def test_unknown_members_are_refused() -> None:
    """The first of them is named, and nothing is sent."""
    upstream = Upstream([[answer("hello")]])
    async with direct(with_policy({"a": upstream}, Policy(unknown="refuse"))) as gateway:
        with pytest.raises(GatewayError) as raised:
            await gateway.chat(ask(extra_json=EXTRA), CallContext(""))
    assert (raised.value.http_status, raised.value.param) == (400, "top_k")
    assert not upstream.calls


async def test_the_names_that_are_told_are_bounded() -> None:
    """They are the caller's, and travel in trailing metadata."""
    extra = "{" + ",".join(f'"{"x" * 200}{number}":1' for number in range(100)) + "}"
    upstream = Upstream([[answer("hello")]])
    async with direct(with_policy({"a": upstream}, Policy(unknown="drop"))) as gateway:
        response = await gateway.chat(ask(extra_json=extra), CallContext(""))
    assert list(response.served.dropped) == ["x" * 64] * 16
