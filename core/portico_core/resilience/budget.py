"""How much may be repeated: a share of what goes well, so that repeats never become the load. Pure."""

from typing import Final

# Repeats per call: a fifth more load than callers make, at the worst.
_SHARE: Final = 0.2
# Repeats that are allowed though there is little traffic to take a share of.
_FLOOR: Final = 10.0
# Repeats that may be saved up.
_MOST: Final = 100.0


class Budget:
    """Filled a little by each call, emptied by one for each repeat at the same backend."""

    __slots__ = ("_left", "_share")

    def __init__(self, share: float = _SHARE, floor: float = _FLOOR) -> None:
        """``share``: repeats per call; ``floor``: those that are there from the start."""
        self._share = share
        self._left = floor

    def earn(self) -> None:
        """Note a call that begins."""
        self._left = min(_MOST, self._left + self._share)

    def spend(self) -> bool:
        """Take one repeat. False: there is none left."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
