"""Why a request would go where, for people: from the configuration alone, as nobody knows the load. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico_core.policy import LEAST, ORDER, WEIGHTED, Policy
from portico_core.pools.affinity import ranked
from portico_core.pools.balance import shares
from portico_core.pools.choice import key_of, tags_of
from portico_core.pools.fit import lacks, refusal
from portico_core.pools.needs import needs
from portico_core.pools.order import groups
from portico_core.routing import Candidate, Pool

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
            why = lacks(each, needed, tags) or _twice(each, kept)
            if why:
                left_out.append(Row(each, why))
            else:
                able.append(each)
        before = kept[-1].turn or 0 if kept else 0
        kept += _rows(able, pool.policy, key_of(pool.policy, params, headers), before)
    every = [each for pool in pools for each in pool.candidates]
    refused = None if kept else refusal(model, every, needed, tags)
    return Explanation(needed, tags, [*kept, *left_out], refused)


def _rows(candidates: Sequence[Candidate], policy: Policy, key: str, before: int) -> Iterator[Row]:
    """Yield the rows of one pool; ``before``: the last turn of the pool before it."""
    turn = before
    for group in groups(candidates, policy):
        if key and len(group) > 1:
            for each in ranked(group, key):
                turn += 1
                yield Row(each, "in the order of its key, while not too busy", turn, 1.0)
            continue
        turn += 1
        for share, each in zip(shares(group) if len(group) > 1 else [1.0], group, strict=True):
            yield Row(each, _why(policy, each, len(group)), turn, share)


def _why(policy: Policy, candidate: Candidate, of: int) -> str:
    if of > 1 or policy.balance == ORDER:
        return _WHY[policy.balance]
    return (
        f"alone of priority {candidate.priority}" if candidate.weight else "behind the others, without weight"
    )


def _twice(candidate: Candidate, kept: Sequence[Row]) -> str:
    tried = any(str(row.candidate) == str(candidate) for row in kept)
    return "is tried already" if tried else ""
