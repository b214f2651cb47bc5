"""Which candidate is tried next, and after which pause: what a call goes through before its commit. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from portico.errors import GatewayError
from portico_core.resilience.symptoms import Cure, Symptom, symptom
from portico_core.routing import Candidate

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
        self._repeats = 0
        # Who failed last, and what may mend that.
        self._failed, self._cure = 0, Cure()
        self._error: GatewayError | None = None
        self._only: Sequence[int] = range(len(candidates))
        # Whether a candidate that could serve the call was tried; whether those that were passed have begun.
        self._tried = self._at_last = False

    @property
    def place(self) -> tuple[int, int]:
        """How far it has come, for ``stay``."""
        return self._now, self._repeats

    def stay(self, place: tuple[int, int]) -> None:
        """Take back what has been passed since."""
        self._now, self._repeats = place

    def only(self, numbers: Sequence[int]) -> None:
        """Leave all other candidates alone from now on."""
        self._only = numbers

    @property
    def error(self) -> GatewayError | None:
        """What the caller is to hear where all tries failed.

        The last failure; but that a later candidate lacks the model says nothing of what ailed the first.
        """
        return self._error

    def after(self, error: GatewayError, patience: float) -> Step | None:
        """Return what follows a failure of the current try. None: nothing; ``patience``: seconds left."""
        sign = self.note(error)
        self._failed, self._cure = self._now, sign.cure
        return self._again(error, sign, patience) or self.past(patience)

    def note(self, error: GatewayError) -> Symptom:
        """Remember a failure that another one follows at once; return what it is a sign of."""
        sign = symptom(error)
        if self._error is None or sign is not Symptom.MISSING:
            self._error = error
        self._tried = self._tried or not sign.cure.unfit
        return sign

    def past(self, patience: float) -> Step | None:
        """Return what follows where the current candidate is not to be tried now."""
        if not self._cure.elsewhere or patience <= 0 or self._at_last:
            return None
        for number in range(self._now + 1, len(self._candidates)):
            if self._may_mend(number):
                self._now, self._repeats = number, 0
                return Step(number)
        return None

    def still(self, passed: Iterable[int], patience: float) -> Sequence[int]:
        """Return those of the candidates that were passed which are to be tried after all, as nobody is left.

        None of them once one was tried that could serve the call, and failed.
        """
        if self._tried or (self._error is not None and patience <= 0):
            return ()
        return [number for number in passed if self._may_mend(number)]

    def back(self, number: int) -> Step:
        """Return the try of a candidate that has been passed. No other follows it but such a one."""
        self._now, self._repeats, self._at_last = number, 0, True
        return Step(number)

    def _may_mend(self, number: int) -> bool:
        context = self._candidates[self._failed].context
        fits = not self._cure.larger or _larger(self._candidates[number].context, context)
        return fits and number in self._only

    def _again(self, error: GatewayError, sign: Symptom, patience: float) -> Step | None:
        pause = self._pause(error, sign)
        wanted = error.retry_after
        if self._repeats >= sign.cure.again or pause >= patience or self._now not in self._only:
            return None
        if wanted is not None and wanted > _SHORT:
            return None
        if not self._may_repeat():
            return None
        self._repeats += 1
        return Step(self._now, pause)

    def _pause(self, error: GatewayError, sign: Symptom) -> float:
        first = _FIRST_WHEN_BUSY if sign.cure.wait else _FIRST
        if error.retry_after is not None:
            # Some say 0, or a date that is past. All that were turned away together are not to come back
            # together.
            return max(first, error.retry_after) + self._chance() * _FIRST
        return float(min(_LONGEST, first * 2**self._repeats) * (1 - self._chance() / 2))


def _larger(context: int | None, than: int | None) -> bool:
    """Tell whether a candidate's context is known to be larger."""
    return context is not None and than is not None and context > than
