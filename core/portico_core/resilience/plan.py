"""Which candidate is tried next, and after which pause: what a call goes through before its commit. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from portico.errors import GatewayError
from portico_core.candidates import Candidate
from portico_core.resilience.symptoms import Cure, Symptom, symptom

# Seconds of the first pause and of the longest one; each doubles the one before, less up to a half by chance.
_FIRST: Final = 0.1
_FIRST_WHEN_BUSY: Final = 0.5
_LONGEST: Final = 5.0
# Seconds that a backend may ask to be left alone for; for more the call goes elsewhere.
_SHORT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Step:
    """A try: of the candidate with this number, after so many seconds."""

    number: int
    pause: float = 0.0


class Plan:
    """The tries of one call, one after the other.

    ``may_repeat`` takes one repeat from the budget; ``chance`` returns a number from 0 to 1.
    """

    def __init__(
        self, candidates: Sequence[Candidate], may_repeat: Callable[[], bool], chance: Callable[[], float]
    ) -> None:
        self._candidates = candidates
        self._may_repeat = may_repeat
        self._chance = chance
        self._now = 0
        # Repeats of each candidate, and what came of those that failed beside the current try.
        self._repeats: dict[int, int] = {}
        self._beside: dict[int, GatewayError] = {}
        # What may mend the last failure, and the largest context that was too small. None: none was.
        self._cure = Cure()
        self._too_small: float | None = None
        self._error: GatewayError | None = None
        self._only: Sequence[int] = range(len(candidates))
        # Whether a candidate that could serve the call was tried; whether those that were passed have begun.
        self._tried = self._at_last = False
        # Seconds of pauses that backends asked others for.
        self._rested = 0.0

    def only(self, numbers: Sequence[int]) -> None:
        """Leave all other candidates alone from now on."""
        self._only = numbers

    @property
    def error(self) -> GatewayError | None:
        """What the caller is to hear where all tries failed.

        The last failure; but that a later candidate lacks the model says nothing of what ailed the first.
        """
        return self._error

    def after(self, number: int, error: GatewayError, patience: float) -> Step | None:
        """Return what follows the failure of a try. None: nothing; ``patience``: seconds left.

        ``number``: whose try it was. The plan goes on from there.
        """
        sign = self.note(number, error)
        self._now, self._cure = number, sign.cure
        return self._again(error, sign, patience) or self.past(patience)

    def note(self, number: int, error: GatewayError) -> Symptom:
        """Remember a failure that another one follows at once; return what it is a sign of."""
        sign = symptom(error)
        if self._error is None or sign is not Symptom.MISSING:
            self._error = error
        self._tried = self._tried or not sign.cure.unfit
        if sign.cure.larger:
            context = self._candidates[number].context
            # What is larger than an unknown one nobody knows.
            self._too_small = max(self._too_small or 0, inf if context is None else context)
        return sign

    def past(self, patience: float) -> Step | None:
        """Return what follows where the current candidate is not to be tried now."""
        if not self._cure.elsewhere or patience <= 0 or self._at_last:
            return None
        for number in range(self._now + 1, len(self._candidates)):
            failed = self._beside.get(number)
            if self._may_mend(number):
                self._now = number
                return Step(number) if failed is None else self.after(number, failed, patience)
            if failed is not None and symptom(failed).cure.larger:
                # Nobody knew its context, and it was too small all the same: so may be others.
                self.note(number, failed)
        return None

    def beside(self, patience: float) -> Sequence[int]:
        """Return who may be asked beside the current try, in order: those behind it that have not failed."""
        if patience <= 0 or self._at_last:
            return ()
        behind = range(self._now + 1, len(self._candidates))
        return [number for number in behind if number not in self._beside and self._may_mend(number)]

    def failed_beside(self, number: int, error: GatewayError) -> None:
        """Note the failure of one that ran beside the current try: it counts when its turn comes."""
        self._beside[number] = error

    def still(self, passed: Iterable[int], patience: float) -> Sequence[int]:
        """Return those of the candidates that were passed which are to be tried after all, as nobody is left.

        None of them once one was tried that could serve the call, and failed.
        """
        if self._tried or (self._error is not None and patience <= 0):
            return ()
        return [number for number in passed if self._may_mend(number)]

    def wait(self, rest: float, patience: float) -> float | None:
        """Return the pause until one is tried whose backend asked for one, as nobody is left. None: too long.

        ``rest``: the seconds of it that are left. All such pauses of a call are short together.
        """
        self._rested += rest
        pause = rest + self._chance() * _FIRST
        return pause if self._rested <= _SHORT and pause < patience else None

    def back(self, number: int) -> Step:
        """Return the try of a candidate that has been passed. No other follows it but such a one."""
        self._now, self._at_last = number, True
        return Step(number)

    def _may_mend(self, number: int) -> bool:
        return number in self._only and _is_larger(self._candidates[number].context, self._too_small)

    def _again(self, error: GatewayError, sign: Symptom, patience: float) -> Step | None:
        repeats = self._repeats.get(self._now, 0)
        pause = self._pause(error, sign, repeats)
        wanted = error.retry_after
        if repeats >= sign.cure.again or pause >= patience or self._now not in self._only:
            return None
        if wanted is not None and wanted > _SHORT:
            return None
        if not self._may_repeat():
            return None
        self._repeats[self._now] = repeats + 1
        return Step(self._now, pause)

    def _pause(self, error: GatewayError, sign: Symptom, repeats: int) -> float:
        first = _FIRST_WHEN_BUSY if sign.cure.wait else _FIRST
        if error.retry_after is not None:
            # Some say 0, or a date that is past. All that were turned away together are not to come back
            # together.
            return max(first, error.retry_after) + self._chance() * _FIRST
        return float(min(_LONGEST, first * 2**repeats) * (1 - self._chance() / 2))


def _is_larger(context: int | None, than: float | None) -> bool:
    """Tell whether a candidate's context is known to be larger than what was too small, if anything was."""
    return than is None or (context is not None and context > than)
