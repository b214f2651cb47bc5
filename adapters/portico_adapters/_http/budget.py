"""How much may be fetched, and the way to say that something cannot be. Pure."""

from dataclasses import dataclass


class UnfetchableError(Exception):
    """Why something cannot be fetched, for the caller to read."""


@dataclass(slots=True)
class Budget:
    """Bytes that may still be taken, of one file and of all together."""

    each: int
    total: int

    def take(self, size: int, *, so_far: int) -> None:
        """Note ``size`` bytes more of a file of which ``so_far`` have come; raise where that is too much."""
        self.total -= size
        if so_far + size > self.each:
            raise UnfetchableError(f"it is larger than {self.each} bytes")
        if self.total < 0:
            raise UnfetchableError("together the files of this request are too large")
