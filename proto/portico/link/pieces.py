"""Messages in pieces small enough that no call keeps the others waiting. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

#: Bytes of one piece at most.
PIECE: Final = 16 * 1024


def pieces(message: bytes) -> Iterable[tuple[bytes, bool]]:
    """Return a message's pieces, each with whether more of them follow; an empty message is one piece."""
    # Nearly all are: no generator, which costs two calls more.
    return _cut(message) if len(message) > PIECE else ((message, False),)


def _cut(message: bytes) -> Iterator[tuple[bytes, bool]]:
    last = (len(message) - 1) // PIECE * PIECE
    for start in range(0, last, PIECE):
        yield message[start : start + PIECE], True
    yield message[last:], False


class Joiner:
    """Puts the pieces of one message after the other together again."""

    __slots__ = ("_kept", "_most", "_size")

    def __init__(self, most: int) -> None:
        """``most``: bytes that a message may have."""
        self._kept: list[bytes] = []
        self._size = 0
        self._most = most

    def add(self, piece: bytes, more: bool) -> bytes | None:
        """Return the message that ends with this piece, if it does. Raise ValueError for one too large."""
        self._size += len(piece)
        if self._size > self._most:
            raise ValueError(f"a message of more than {self._most} bytes")
        if more:
            self._kept.append(piece)
            return None
        message = b"".join((*self._kept, piece)) if self._kept else piece
        self._kept, self._size = [], 0
        return message
