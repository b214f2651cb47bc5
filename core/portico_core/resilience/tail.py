"""How long the slow ones of many calls take: the 95th percentile of the last ones. Pure."""

from collections import deque
from typing import Final

# Calls that are remembered, and how many of them make an estimate.
_MOST: Final = 64
_ENOUGH: Final = 20
_SHARE: Final = 0.95


class Tail:
    """The times of the last calls."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST)

    def note(self, milliseconds: float) -> None:
        """Note how long a call took; of one that was given up, how long it had taken."""
        self._times.append(milliseconds)

    def slow(self) -> float | None:
        """Return the milliseconds that one call in twenty exceeds. None: too few are known."""
        if len(self._times) < _ENOUGH:
            return None
        return sorted(self._times)[int(len(self._times) * _SHARE)]
