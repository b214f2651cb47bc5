"""The events of a stream that repeat one another but for their text: nearly all of them do. Pure."""

import re
from typing import Final

from msgspec.json import Decoder

from portico.v1.chunk_pb2 import ChatChunk

_KEY: Final = b'"content":'
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_TEXT: Final = Decoder(str)

#: Characters that are set in one message, which keeps the memory of all that ever were.
_KEPT: Final = 64 * 1024

# How often in a row an event may be remembered in vain: two choices that take turns never repeat.
_PATIENCE: Final = 8


class Repeats:
    """What stands around the text of the last plain event, and the chunk that it was.

    An event with the same bytes around another JSON string is the same chunk with another text. To see that
    costs a third of reading the event anew.
    """

    __slots__ = ("_after", "_before", "_chunk", "_delta", "_end", "_patience", "_room", "_start")

    def __init__(self) -> None:
        # Empty: nothing is remembered.
        self._before = self._after = b""
        self._start = self._end = 0
        self._room = 0
        self._patience = _PATIENCE

    def chunk(self, data: bytes) -> ChatChunk | None:
        """Return the chunk of an event that repeats the remembered one, to be copied. None: it does not."""
        if not self._before or not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        try:
            text = _TEXT.decode(data[self._start : -self._end])
        except ValueError:
            return None
        self._patience = _PATIENCE
        self._room -= len(text)
        if self._room < 0:
            self._keep(self._chunk)
        self._delta.content = text
        return self._chunk

    def forget(self) -> None:
        """Remember nothing."""
        self._before = b""

    def note(self, data: bytes, chunk: ChatChunk) -> None:
        """Remember an event with one choice whose delta may have ``content``, and the chunk that it is."""
        self._patience -= 1
        if self._patience < 0 or data.count(b'content"') != 1:
            return
        start = data.find(_KEY) + len(_KEY)
        string = _STRING.match(data, start)
        if start >= len(_KEY) and string is not None:
            self._before, self._after = data[:start], data[string.end() :]
            self._start, self._end = start, len(self._after)
            self._keep(chunk)

    def _keep(self, chunk: ChatChunk) -> None:
        copied = ChatChunk()
        copied.CopyFrom(chunk)
        self._chunk, self._delta = copied, copied.choices[0].delta
        self._room = _KEPT
