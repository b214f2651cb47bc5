"""The order in which candidates are tried. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from portico_core.candidates import Candidate
from portico_core.policy import LEAST, ORDER, Policy
from portico_core.pools import affinity, balance
from portico_core.pools.balance import Chance, StandingOf


def groups(candidates: Sequence[Candidate], policy: Policy) -> Iterator[list[Candidate]]:
    """Yield the candidates that stand for one another, those first that are tried first.

    They come in the order of their priorities (``config.candidates``). In an order each is on its own;
    so is one of weight 0, behind the others of its priority.
    """
    if policy.balance == ORDER:
        yield from ([each] for each in candidates)
        return
    for _, group in groupby(candidates, lambda each: each.priority):
        members = list(group)
        weighty = [each for each in members if each.weight]
        if weighty:
            yield weighty
        yield from ([each] for each in members if not each.weight)


def ordered(
    candidates: Sequence[Candidate], policy: Policy, key: str, standing: StandingOf, chance: Chance
) -> Iterator[Candidate]:
    """Yield all candidates in the order in which they are to be tried.

    ``key``: what the call has in common with others of its kind, "" for nothing.
    """
    for group in groups(candidates, policy):
        if len(group) == 1:
            yield group[0]
        elif key:
            yield from affinity.bounded(group, key, standing)
        elif policy.balance == LEAST:
            yield from balance.least(group, standing, chance)
        else:
            yield from balance.weighted(group, chance)
