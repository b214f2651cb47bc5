"""Keeps calls away from a candidate that ails: docs/resilience.md draws it. Pure: time is handed in.

1. Closed: calls go there. It opens when it fails five times on end, or ten times out of the last twenty, and
   at once where the backend itself says that it cannot serve.
2. Open: calls go elsewhere until a moment that is set when it opens. Was it a limit of rate or an overload,
   it is closed again then; five of them without an answer between them count as failures on end. Where the
   backend has named the moment nobody goes there before it at all, and the first who does goes alone until it
   is answered, or has not been refused for a second: limits refuse at once.
3. Half-open: the moment has come. One call at a time is let through, to see.
4. Returning: it has answered. A share of the calls is let through that grows until it is closed again; a
   failure opens it as before.
5. What an attempt came to counts for the state that it began in alone: what was on its way when the
   breaker opened says nothing of how the candidate is later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final, NamedTuple

from portico.errors import QUOTA, GatewayError
from portico_core.resilience.symptoms import Symptom, symptom

# Failures on end that open it; or out of so many outcomes so many.
_ON_END: Final = 5
_OUTCOMES: Final = 20
_OUT_OF_THEM: Final = 10

# Seconds that it stays open after failures. Never more: a backend that was mended is found soon.
_COOLDOWN: Final = 15.0
# Seconds after a rate limit or an overload whose end the backend does not tell; most of them pass at once.
_BRIEF: Final = 1.0
# Seconds of what a backend may ask for: a mistaken Retry-After does not keep it away for a day.
_LONGEST: Final = 300.0
# Seconds of that for which nobody goes there, though nobody else be left, and for which the first goes alone.
_ALONE: Final = 60.0
_REFUSED_BY: Final = 1.0
# Seconds after a quota that is used up, or a 403: somebody has to pay, or to permit something, which takes
# longer than a cooldown, but which nobody tells the gateway.
_QUOTA: Final = 60.0

# Seconds from the first answer to all of the calls, and the share of them that it begins with.
_RETURN: Final = 5.0
_SHARE: Final = 0.1


class State(Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    RETURNING = "returning"


class Ticket(NamedTuple):
    """Of an attempt: what state of the breaker it began in, and whether it is the one probe.

    ``first``: whether it is the first after a pause that the backend asked for.
    """

    epoch: int
    probe: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure says of the candidate."""

    #: Seconds that calls are to stay away. None: it counts, with others like it.
    cooldown: float | None = None
    #: Whether it is over by itself then, without a call that shows it.
    passes: bool = False
    #: Whether the backend itself has said how long.
    named: bool = False


#: One that counts, with others like it.
FAILURE: Final = Verdict()
_COUNTED: Final = frozenset({Symptom.FAILED, Symptom.SILENT, Symptom.UNREACHABLE})


def verdict(error: GatewayError, *, by_caller: bool = False) -> Verdict | None:
    """Return what an error says of the candidate. None: nothing, as of the caller's mistakes.

    ``by_caller``: keys and limits at the backend may be each caller's own, and say nothing of the others'.
    """
    sign = symptom(error)
    if sign in _COUNTED:
        return FAILURE
    if sign is Symptom.BUSY and not (by_caller and error.upstream_status == 429):
        wanted = _BRIEF if error.retry_after is None else min(_LONGEST, error.retry_after)
        return Verdict(wanted, passes=True, named=bool(error.retry_after))
    if sign is not Symptom.KEY or by_caller:
        return None
    if error.code == QUOTA:
        return Verdict(min(_LONGEST, max(_QUOTA, error.retry_after or 0)))
    # A 403 may be about this one request (moderation, a region); a 401 is about the key.
    return Verdict(inf if error.upstream_status == 401 else _QUOTA)


class Breaker:
    """One candidate's. ``now`` is in seconds on any clock that never goes back."""

    __slots__ = (
        *("_changed", "_fails", "_finding", "_limits", "_outcomes", "_passes", "_probing", "_rest", "_seen"),
        *("_since", "_ticket", "_until"),
    )

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called when it has opened, and when an answer has closed it."""
        self._changed = changed
        self._ticket = Ticket(0)
        # Failures on end, and cooldowns that pass; how many outcomes are known, and a bit for each, set for
        # a failure.
        self._fails = self._limits = self._seen = self._outcomes = 0
        # Open: the moment until which it is, and whether it is closed then, not half-open.
        self._until: float | None = None
        self._passes = False
        self._probing = False
        # The backend asked for a pause: the moment until which nobody goes there, and whether the first one
        # has gone since.
        self._rest: float | None = None
        self._finding = False
        # Returning: the moment of the answer.
        self._since: float | None = None

    def state(self, now: float) -> State:
        """Return where it stands."""
        if self._until is not None and now < self._until:
            return State.OPEN
        if self._until is not None and not self._passes:
            return State.HALF_OPEN
        returning = self._since is not None and now < self._since + _RETURN
        return State.RETURNING if returning else State.CLOSED

    @property
    def due(self) -> float:
        """The moment from which a call may try it; that of a closed one has always been."""
        return -inf if self._until is None else self._until

    def rest(self, now: float) -> float:
        """Return the seconds for which not even a call goes there that nobody else could serve."""
        return 0.0 if self._rest is None else max(0.0, self._rest - now)

    def admits(self, now: float, chance: Callable[[], float]) -> bool:
        """Tell whether a call may go there; ``chance`` returns a number from 0 to 1, less than 1."""
        if self._rest is not None and now < self._rest:
            return False
        if self._until is None:
            return self._since is None or chance() < self.share(now)
        return now >= self._until and not self._probing

    def share(self, now: float) -> float:
        """Return the share of the calls that one which is not open lets through."""
        if self._since is None:
            return 1.0
        return min(1.0, _SHARE + (1 - _SHARE) * max(0.0, now - self._since) / _RETURN)

    def began(self, now: float) -> Ticket:
        """Note an attempt that starts, admitted or not; return what its end is told with."""
        if self._until is None and self._rest is None:
            return self._ticket
        ticket = self._ticket._replace(first=self._is_first(now))
        if self._until is None or self._probing or now < self._until:
            return ticket
        if self._passes:
            if self._rest is None:
                self._until = None
            return ticket
        self._probing = True
        return ticket._replace(probe=True)

    def _is_first(self, now: float) -> bool:
        """Tell whether an attempt that starts is the first after a pause that the backend asked for."""
        if self._rest is None or now < self._rest:
            return False
        # Who comes while the first has not been refused in time finds the pause over.
        self._finding = not self._finding
        self._rest = now + _REFUSED_BY if self._finding else None
        return self._finding

    def answered(self, ticket: Ticket, now: float) -> None:
        """Note that an answer, or the first content of a stream, has come."""
        self._limits = 0
        if self._until is None or ticket.epoch != self._ticket.epoch:
            return
        self._until, self._since = None, None if self._passes else now
        self._rest, self._finding = None, False
        self._begin()

    def ended(self, ticket: Ticket, says: Verdict | None, now: float, *, well: bool) -> None:
        """Note that an attempt is over: well, or with what its failure says.

        Neither: its caller left, or was at fault.
        """
        if ticket.epoch != self._ticket.epoch:
            return
        if says is not None:
            self._failed(says, now)
        elif well:
            self._fails = 0
            self._count(0)
            if self._since is not None and now >= self._since + _RETURN:
                self._since = None
        else:
            self._probing = self._probing and not ticket.probe
            if ticket.first and self._finding:
                # The next one finds out.
                self._rest, self._finding = now, False

    def _failed(self, says: Verdict, now: float) -> None:
        if says.named:
            self._rest, self._finding = now + min(_ALONE, says.cooldown or 0), False
        elif not says.passes:
            self._rest, self._finding = None, False
        if self._until is not None and now < self._until:
            # It was tried all the same. What its backend asks for counts, one more failure does not.
            self._until = max(self._until, now + (says.cooldown or 0))
            self._passes = self._passes and says.passes
            return
        state = self.state(now)
        if says.passes and state is not State.HALF_OPEN and self._limits < _ON_END - 1:
            self._limits += 1
            self._open(now, says)
        elif says.passes:
            # A limit that never ends is a failure; but should its backend ask for more time, that counts.
            self._open(now, Verdict(max(_COOLDOWN, says.cooldown or 0)))
        else:
            self._fails += 1
            self._count(1)
            if says.cooldown is not None or state is not State.CLOSED or self._is_too_often():
                self._open(now, says)

    def _count(self, outcome: int) -> None:
        self._outcomes = (self._outcomes << 1 | outcome) & ((1 << _OUTCOMES) - 1)
        self._seen = min(_OUTCOMES, self._seen + 1)

    def _is_too_often(self) -> bool:
        often = self._seen == _OUTCOMES and self._outcomes.bit_count() >= _OUT_OF_THEM
        return often or self._fails >= _ON_END

    def _open(self, now: float, says: Verdict) -> None:
        self._until = now + (_COOLDOWN if says.cooldown is None else says.cooldown)
        self._passes = says.passes
        self._since, self._limits = None, self._limits if says.passes else 0
        self._begin()

    def _begin(self) -> None:
        """Begin a state: what was begun in the one before does not count any more."""
        self._ticket = Ticket(self._ticket.epoch + 1)
        self._probing = False
        self._fails = self._outcomes = self._seen = 0
        self._changed()
