"""Judges what came of a case by what was to come."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.cases import Case
from tests.faults.doors import Door, Saw, through
from tests.faults.expected import FAULTS, Expected, Kind
from tests.faults.scripts import TEXT
from tests.faults.server import Call
from tests.faults.stand import Stand, until

# Seconds that a busy machine may add to what the gateway decides.
_SLACK = 2.5
# To take 64 MiB over the loopback takes a while.
_SLACK_WHEN_HEAVY = 10.0

# Faults whose calls never get through to the upstream.
_UNSEEN = frozenset({"refused", "blackhole"})


@dataclass
class Observed:
    """All that is known of a case once it is over."""

    case: Case
    saw: Saw
    attempts: int = 0
    first: list[Call] = field(default_factory=list)
    second: list[Call] = field(default_factory=list)


async def observe(stand: Stand, ways: Mapping[str, Door], cases: Sequence[Case]) -> list[Observed]:
    """Make the calls of these cases side by side, and wait until their connections are not used any more."""
    seen = await asyncio.gather(
        *(through(ways[case.door], case.name, streamed=case.streamed) for case in cases)
    )
    observed = [Observed(case, saw) for case, saw in zip(cases, seen, strict=True)]

    def over() -> bool:
        for each in observed:
            each.first = stand.calls(each.case.name)
            each.second = stand.calls(f"{each.case.name}-2") if each.case.second else []
        return all(call.ended for each in observed for call in (*each.first, *each.second))

    await until(over, lambda: f"connections are left: {observed}")
    attempts = await asyncio.to_thread(stand.attempts)
    for each in observed:
        each.attempts = attempts[each.case.name]
    return observed


def complaints(seen: Observed) -> Iterator[str]:
    """Yield where a case went another way than the table says."""
    expected = seen.case.expected()
    assert expected is not None
    for words in (*_of_the_caller(expected, seen), *_of_the_upstream(expected, seen)):
        yield f"{seen.case.name}: {words}; {seen.saw}"


def _of_the_caller(expected: Expected, seen: Observed) -> Iterator[str]:
    saw, case = seen.saw, seen.case
    if saw.kind is not expected.kind:
        yield f"ended as {saw.kind}, not as {expected.kind}"
    if expected.kind is Kind.ANSWER:
        by = f"{case.name}-2" if case.second and expected.elsewhere else case.name
        if saw.by != by:
            yield f"served by {saw.by}, not by {by}"
        if saw.text != TEXT:
            yield "another text than the backend sent"
        if saw.finished != ["stop"] * expected.finishes:
            yield f"finished with {saw.finished}"
    elif saw.code != expected.code:
        yield f"code {saw.code}, not {expected.code}"
    if expected.kind is Kind.ERROR and saw.status != expected.status:
        yield f"status {saw.status}, not {expected.status}"
    if case.fault == "429_long" and not case.second and not 50 <= (saw.retry_after or 0) <= 60:
        yield "no Retry-After for the caller"
    slack = _SLACK_WHEN_HEAVY if FAULTS[case.fault].heavy else _SLACK
    most = expected.least + sum(most for _, most in expected.pauses) + slack
    if expected.kind is not Kind.ENDLESS and not expected.least <= saw.seconds <= most:
        yield f"took {saw.seconds:.2f} s, not {expected.least:.2f} to {most:.2f}"


def _of_the_upstream(expected: Expected, seen: Observed) -> Iterator[str]:
    case = seen.case
    if seen.attempts != expected.tries:
        yield f"{seen.attempts} attempts, not {expected.tries}"
    if len(seen.first) != (0 if case.fault in _UNSEEN else expected.tries):
        yield f"the first candidate was called {len(seen.first)} times"
    if len(seen.second) != (1 if case.second and expected.elsewhere else 0):
        yield f"the second candidate was called {len(seen.second)} times"
    for (before, after), (least, most) in zip(pairwise(seen.first), expected.pauses, strict=False):
        # The upstream stamps a call before it answers; the pause begins after that.
        if not least <= after.at - before.at <= most + _SLACK:
            yield f"a pause of {after.at - before.at:.2f} s, not {least:.2f} to {most:.2f}"
