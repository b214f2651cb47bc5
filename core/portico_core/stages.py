"""What happens to a call before it is dispatched, in order.

Each stage reads the call and adds what it finds out; a stage that refuses raises GatewayError. One that has
to wait returns what is to be awaited: most need not. Hooks, limits and keys become further elements of these
lists.
"""

from collections.abc import Awaitable, Callable, Sequence
from random import random
from typing import Any, TypeAlias

from portico.errors import invalid_request
from portico_core import unknown_members
from portico_core.bare_contract import may_have_extra
from portico_core.call import Call
from portico_core.candidates import Pool
from portico_core.keys import Keys
from portico_core.models import Models
from portico_core.policy import ALLOW, DROP, REFUSE
from portico_core.pools.balance import StandingOf
from portico_core.pools.choice import choose
from portico_core.validate import check_headers

Stage: TypeAlias = Callable[[Call], Awaitable[None] | None]


async def pass_all(call: Call, stages: Sequence[Stage]) -> None:
    """Have a call pass all of them, in order."""
    for stage in stages:
        waits = stage(call)
        if waits is not None:
            await waits


def for_calls(
    keys: Keys, models: Models, standing: StandingOf, check: Callable[[Any], None]
) -> Sequence[Stage]:
    """Return the stages of the RPCs that ask a backend. ``check`` refuses what none could answer."""
    find = find_candidates(models, standing)
    return (authenticate(keys), validate_headers, validate(check), find, judge_unknown)


def for_questions(keys: Keys) -> Sequence[Stage]:
    """Return the stages of the RPCs that ask for models."""
    return (authenticate(keys), validate_headers)


def authenticate(keys: Keys) -> Stage:
    """Return the stage that finds out who calls, and keeps the gateway's keys from the backends."""

    def stage(call: Call) -> None:
        call.principal = keys.authenticate(call.context)
        call.headers = keys.for_backends(call.headers)

    return stage


def validate_headers(call: Call) -> None:
    """Bound the caller's headers."""
    check_headers(call.headers)


def validate(check: Callable[[Any], None]) -> Stage:
    """Return the stage that refuses parameters which no backend could answer."""

    def stage(call: Call) -> None:
        check(call.params)

    return stage


def find_candidates(models: Models, standing: StandingOf) -> Stage:
    """Return the stage that finds out who may serve the caller, and in which order they are tried."""

    def found(call: Call, pools: Sequence[Pool]) -> None:
        call.policy = pools[0].policy
        call.candidates = choose(pools, call.model, call.params, call.headers, standing, random)

    async def search(call: Call) -> None:
        found(call, await models.pools(call.model, call.context.remaining()))

    def stage(call: Call) -> Awaitable[None] | None:
        pools = models.named.get(call.model)
        if pools is None:
            return search(call)
        found(call, pools)
        return None

    return stage


def judge_unknown(call: Call) -> None:
    """Leave out or refuse members that OpenAI's API does not have, where the model's policy is so."""
    if call.policy.unknown == ALLOW or not may_have_extra(call.params):
        return
    if call.policy.unknown == DROP:
        # A copy: the message is the caller's.
        params = type(call.params)()
        params.CopyFrom(call.params)  # type: ignore[arg-type]
        call.params = params
    for holder, path in list(unknown_members.holders(call.params)):
        names = [f"{path}{name}" for name in unknown_members.names(holder)]
        if call.policy.unknown == REFUSE and names:
            raise invalid_request(f"Unrecognized request argument supplied: {names[0]}", names[0])
        call.dropped += names
        holder.ClearField("extra_json")
