"""Whether a text repeats another one, piece by piece, and what of it comes after. Pure.

For any two texts and any cut of the first: what the caller sees is either a beginning of the first alone,
or, where the second begins with all of what was sent, exactly the second.
"""


class Echo:
    """Compares the pieces of a text with one that was sent already."""

    __slots__ = ("_at", "_sent")

    def __init__(self, sent: str) -> None:
        self._sent = sent
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether all that was sent has been repeated: what follows is new."""
        return self._at == len(self._sent)

    def take(self, piece: str) -> str | None:
        """Return what of the next piece is new. None: the texts differ, and stay different."""
        known = min(len(piece), len(self._sent) - self._at)
        if not self._sent.startswith(piece[:known], self._at):
            return None
        self._at += known
        return piece[known:]
