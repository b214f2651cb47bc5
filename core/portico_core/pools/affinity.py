"""Calls with something in common go to the same candidate, whose cache then knows their prompts. Pure.

Rendezvous hashing: each candidate has a score for each key, and the best one serves it. So a candidate
that goes takes no other one's keys along, and one that comes takes just those that are its own from now
on. The load is bounded (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads): where a
candidate has more than its part of the calls under way, its keys go to their second choice meanwhile.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil, log
from typing import Final

from portico_core.candidates import Candidate
from portico_core.pools.balance import StandingOf, load

# Of the calls under way, how many times its part by weight a candidate may have.
_BOUND: Final = 1.25
# With fewer calls under way than this a candidate is never too busy for its keys.
_FEW: Final = 4

_HIGHEST: Final = 1 << 64


def ranked(candidates: Sequence[Candidate], key: str) -> list[Candidate]:
    """Return the candidates in the order in which they are to serve a key, all weights above 0."""
    return sorted(candidates, key=lambda each: _distance(each, key))


def bounded(candidates: Sequence[Candidate], key: str, standing: StandingOf) -> list[Candidate]:
    """Return the candidates in that order, those with more than their part of the load behind the others."""
    loads = {each: load(standing(each)) for each in candidates}
    per_weight = _BOUND * (sum(loads.values()) + 1) / sum(each.weight for each in candidates)
    order = ranked(candidates, key)
    # A stable sort: False goes before True.
    return sorted(order, key=lambda each: loads[each] >= max(_FEW, ceil(per_weight * each.weight)))


def _distance(candidate: Candidate, key: str) -> float:
    """Return a number for a candidate and a key: the least of all candidates' with a chance as its weight."""
    hashed = blake2b(f"{candidate}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    return -log((int.from_bytes(hashed) + 1) / _HIGHEST) / candidate.weight
