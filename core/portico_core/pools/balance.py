"""Who of a group of candidates goes first: by weight, or by weight, load and speed. Pure.

``chance`` returns a number from 0 to 1, less than 1. All weights are above 0.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from portico_core.candidates import Candidate
from portico_core.standing import Standing

Chance: TypeAlias = Callable[[], float]
#: Returns a candidate's record.
StandingOf: TypeAlias = Callable[[Candidate], Standing]

# Candidates whose costs are that close are as good as one another: times vary more than that by chance.
_CLOSE: Final = 1.25


def load(standing: Standing) -> int:
    """Return the attempts that a candidate has to do: those under way, and those that wait for a place."""
    return standing.in_flight + standing.places.waiting


def shares(candidates: Sequence[Candidate]) -> list[float]:
    """Return each candidate's part of the calls, by weight alone; all together 1."""
    total = sum(each.weight for each in candidates)
    return [each.weight / total for each in candidates]


def weighted(candidates: Sequence[Candidate], chance: Chance) -> list[Candidate]:
    """Return the candidates in an order by chance, the first being each as often as its weight says."""
    left, order = list(candidates), []
    while left:
        order.append(left.pop(_draw(left, chance)))
    return order


def least(candidates: Sequence[Candidate], standing: StandingOf, chance: Chance) -> list[Candidate]:
    """Return the candidates in an order by the power of two choices.

    Two are drawn by weight, maybe the same one twice, so that the slowest still gets a call now and then
    and can show that it has recovered. The cheaper one goes first, the first drawn where they are close.
    """
    left, order = list(candidates), []
    while len(left) > 1:
        first, second = _draw(left, chance), _draw(left, chance)
        better = _is_better(left[second], left[first], standing)
        order.append(left.pop(second if better else first))
    return order + left


def _draw(candidates: Sequence[Candidate], chance: Chance) -> int:
    """Return the number of one of the candidates, as likely as its weight says."""
    at = chance() * sum(each.weight for each in candidates)
    for number, each in enumerate(candidates):
        at -= each.weight
        if at < 0:
            return number
    return len(candidates) - 1  # what rounding leaves


def _is_better(one: Candidate, other: Candidate, standing: StandingOf) -> bool:
    """Compare what a call would take, as far as it is known: the usual time, times the load per weight."""
    mean = (one.weight + other.weight) / 2
    mine, others = standing(one), standing(other)
    cost = 1 + load(mine) * mean / one.weight
    others_cost = 1 + load(others) * mean / other.weight
    if mine.first_content_ms is not None and others.first_content_ms is not None:
        cost *= mine.first_content_ms
        others_cost *= others.first_content_ms
    return cost * _CLOSE < others_cost
