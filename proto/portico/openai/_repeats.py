"""The events of a stream that repeat one another but for their text: nearly all of them do. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec.json import Decoder

from portico.runs import LONGEST

# Possessive: what may be given back again is remembered, in 130 bytes for each of a text.
_CONTENT: Final = re.compile(rb'"content": ?("(?:[^"\\]++|\\.)*+")')
_TEXT: Final = Decoder(str)

# How often in a row an event may be remembered in vain: two choices that take turns never repeat.
_PATIENCE: Final = 8


class Repeats:
    """What stands around the text of the last event that was text alone.

    An event with the same bytes around another JSON string is the same chunk with another text. To see that
    costs a tenth of reading the event anew.
    """

    __slots__ = ("_after", "_before", "_patience")

    def __init__(self) -> None:
        # Empty: nothing is remembered.
        self._before = self._after = b""
        self._patience = _PATIENCE

    def texts(self, events: Sequence[bytes], at: int) -> list[bytes]:
        """Return the texts of the events from ``at`` on, as long as they repeat the remembered one."""
        before, after = self._before, self._after
        texts: list[bytes] = []
        if not before:
            return texts
        start, end = len(before), -len(after)
        for event in events[at:] if at else events:
            if event[:start] != before or event[end:] != after:
                break
            try:
                text = _TEXT.decode(event[start:end]).encode()
            except ValueError:
                break
            if len(text) > LONGEST:
                break
            texts.append(text)
        if texts:
            self._patience = _PATIENCE
        return texts

    def forget(self) -> None:
        """Remember nothing."""
        self._before = b""

    def note(self, data: bytes) -> None:
        """Remember an event that is a piece of the first choice's text and no more."""
        self._patience -= 1
        if self._patience < 0 or data.count(b'content"') != 1:
            return
        found = _CONTENT.search(data)
        if found is not None:
            self._before, self._after = data[: found.start(1)], data[found.end(1) :]
