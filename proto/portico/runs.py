"""Runs of text in a chat's stream, as bytes: chunks that are a piece of the first choice's text and no more.

Nearly all chunks are such, and on the wire they differ by their text and its length alone. protobuf makes an
object for each message inside another that is touched: to write a chunk by its fields costs 1 us and to read
it as much, to write or read its bytes a quarter. Whatever a chunk has beside its text ends a run.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, Delta
from portico.v1.gateway_pb2 import StreamResponse

#: Bytes of a text: longer ones are rare, and their size is what they cost.
LONGEST: Final = 255


# After so many messages without a run, one of as many is looked at.
_PATIENCE: Final = 8


def _head(size: int) -> bytes:
    """Return what stands before a text of ``size`` bytes in a message that holds its chunk alone."""
    choice = ChunkChoice(index=0, delta=Delta(content="x" * size))
    return StreamResponse(chunks=[ChatChunk(choices=[choice])]).SerializeToString()[: -size or None]


_HEADS: Final = tuple(map(_head, range(LONGEST + 1)))
# A head's first bytes, which hold its chunk's size -> the head, its length, and that of its text.
_SIGNS: Final = {head[:3]: (head, len(head), size) for size, head in enumerate(_HEADS)}


def run(texts: Iterable[bytes]) -> bytes:
    """Return the bytes of a message of chunks with these texts, each in UTF-8 and of at most ``LONGEST``."""
    return b"".join([_HEADS[len(text)] + text for text in texts])


class RunReader:
    """Finds the runs in the messages of one stream."""

    __slots__ = ("_vain",)

    def __init__(self) -> None:
        #: How many messages in a row have begun with none.
        self._vain = 0

    def texts(self, response: StreamResponse) -> tuple[Sequence[bytes], bool]:
        """Return the texts of the run that a message begins with, and whether there is more in it than that.

        A stream of something else is looked at for them now and then only.
        """
        self._vain += 1
        if self._vain > _PATIENCE and self._vain % _PATIENCE:
            return (), True
        data = response.SerializeToString()
        texts, at, end = [], 0, len(data)
        try:
            while at < end:
                head, length, size = _SIGNS[data[at : at + 3]]
                text_at = at + length
                if data[at:text_at] != head:
                    break
                at = text_at + size
                texts.append(data[text_at:at])
        except KeyError:
            pass
        if texts:
            self._vain = 0
        return texts, at < end
