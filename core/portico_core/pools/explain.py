"""Why a request would go where, for people: from the configuration alone, as nobody knows the load. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico_core.candidates import Candidate, Pool
from portico_core.policy import LEAST, ORDER, WEIGHTED, Policy
from portico_core.pools.affinity import ranked
from portico_core.pools.choice import key_of, tags_of
from portico_core.pools.fit import lacks, refusal
from portico_core.pools.needs import needs
from portico_core.pools.order import groups

_WHY: Final = {ORDER: "in order", WEIGHTED: "by weight", LEAST: "by weight, then load and speed"}


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one candidate."""

    candidate: Candidate
    why: str
    #: When it is tried: 1 at first; those of one number stand for one another. None: it is left out.
    turn: int | None = None
    #: The part of the calls of its turn that it gets while all are as fast and busy as their weights.
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of one request."""

    #: Features that it needs, each with the member that asks for it.
    needs: Mapping[str, str]
    tags: frozenset[str]
    #: Those that are tried, in order, and then those that are left out.
    rows: Sequence[Row]
    #: What the caller would hear where nobody is tried.
    refusal: GatewayError | None


def explain(pools: Sequence[Pool], model: str, params: Message, headers: Sequence[Header]) -> Explanation:
    """Return what ``choice.choose`` would do with a request, and why.

    ``pools``: what the model stands for, and then what stands in for it.
    """
    tags, needed = tags_of(headers), needs(params)
    kept: list[Row] = []
    left_out: list[Row] = []
    for pool in pools:
        able: list[Candidate] = []
        for each in pool.candidates:
            why = lacks(each, needed, tags)
            if why:
                left_out.append(Row(each, why))
            else:
                able.append(each)
        for row in _rows(able, pool.policy, key_of(pool.policy, params, headers), kept):
            (left_out if row.turn is None else kept).append(row)
    every = [each for pool in pools for each in pool.candidates]
    refused = None if kept else refusal(model, every, needed, tags)
    return Explanation(needed, tags, [*kept, *left_out], refused)


def _rows(candidates: Sequence[Candidate], policy: Policy, key: str, before: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows of one pool; ``before``: those that are tried before it. Nobody is tried twice."""
    turn = before[-1].turn or 0 if before else 0
    tried = {str(row.candidate) for row in before}
    for group in groups(candidates, policy):
        by_key = bool(key) and len(group) > 1
        fresh: list[Candidate] = []
        # One that stands there twice is asked once, as often as both together.
        weights: dict[str, float] = {}
        for each in ranked(group, key) if by_key else group:
            name = str(each)
            if name in tried or name in weights:
                yield Row(each, "is tried already")
            else:
                fresh.append(each)
            if name not in tried:
                weights[name] = weights.get(name, 0) + each.weight
        tried |= weights.keys()
        for number, each in enumerate(fresh):
            turn += by_key or number == 0
            if by_key:
                yield Row(each, "in the order of its key, while not too busy", turn, 1.0)
            else:
                alone = len(fresh) == 1
                share = 1.0 if alone else weights[str(each)] / sum(weights.values())
                yield Row(each, _why(policy, each, len(fresh)), turn, share)


def _why(policy: Policy, candidate: Candidate, of: int) -> str:
    if of > 1 or policy.balance == ORDER:
        return _WHY[policy.balance]
    return (
        f"alone of priority {candidate.priority}" if candidate.weight else "behind the others, without weight"
    )
