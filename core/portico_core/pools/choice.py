"""The candidates of one call, in the order in which they are tried. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.headers_pb2 import Header
from portico_core.candidates import Candidate, Pool
from portico_core.policy import ByHeader, Policy
from portico_core.pools.balance import Chance, StandingOf
from portico_core.pools.fit import ROUTE_HEADER, lacks, refusal
from portico_core.pools.needs import needs
from portico_core.pools.order import ordered

_NONE: Final = frozenset[str]()
_NOTHING: Final[Mapping[str, str]] = {}


def choose(
    pools: Sequence[Pool],
    model: str,
    params: Message,
    headers: Sequence[Header],
    standing: StandingOf,
    chance: Chance,
) -> Sequence[Candidate]:
    """Return who is to serve a call, in order; raise 400 where nobody can.

    ``pools``: what the model stands for, and then what stands in for it.
    """
    tags = tags_of(headers)
    if len(pools) == 1 and not tags and pools[0].plain:
        return pools[0].candidates
    every = [each for pool in pools for each in pool.candidates]
    needed = _NOTHING if all(each.features is None for each in every) else needs(params)
    chosen: dict[tuple[str, str], Candidate] = {}
    for pool in pools:
        able = [each for each in pool.candidates if not lacks(each, needed, tags)]
        key = key_of(pool.policy, params, headers)
        for each in ordered(able, pool.policy, key, standing, chance):
            # One that failed under the first name would fail under another.
            chosen.setdefault((each.backend, each.model), each)
    if not chosen:
        raise refusal(model, every, needed, tags)
    return tuple(chosen.values())


def tags_of(headers: Sequence[Header]) -> frozenset[str]:
    """Return the tags that the caller's headers ask for."""
    for header in headers:
        if header.name.lower() == ROUTE_HEADER:
            values = values_of(ROUTE_HEADER, headers)
            return frozenset(tag for value in values for each in value.split(",") if (tag := each.strip()))
    return _NONE


def key_of(policy: Policy, params: Message, headers: Sequence[Header]) -> str:
    """Return what the call has in common with those that are to go where it goes; "" for nothing."""
    if isinstance(policy.affinity, ByHeader):
        return ",".join(values_of(policy.affinity.header, headers))
    if policy.affinity is None or not isinstance(params, ChatCompletionParams):
        return ""
    return params.prompt_cache_key


def values_of(name: str, headers: Sequence[Header]) -> list[str]:
    """Return the values of a header, whose name is given in lower case."""
    return [each.value.decode("latin-1") for each in headers if each.name.lower() == name]
