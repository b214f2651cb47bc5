"""Cuts a stream into its events, whatever their framing. Pure.

With ``alt=sse`` they are server-sent events. Without it the stream is one JSON array, which some proxies send
in any case; and an error may be a bare object although its type says event stream. The first byte tells.
"""

import re
from typing import Final

from portico_adapters._sse import SseParser

#: What stands for the end of the stream: the API has no event for it.
END: Final = b""

_BLANK: Final = b" \t\r\n"
# What changes the state of the reader: outside of strings, and inside.
_OUTSIDE: Final = re.compile(rb'["{}\[\]]')
_INSIDE: Final = re.compile(rb'["\\]')


class StreamFraming:
    """Server-sent events, or JSON objects. ``max_event_bytes`` bounds what is kept between reads."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        #: None: nothing but blanks has come.
        self._parser: SseParser | JsonObjects | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that end within ``data``; raise ValueError for one over the bound."""
        if self._parser is None:
            data = data.lstrip(_BLANK)
            if not data:
                return []
            kind = JsonObjects if data[:1] in b"[{" else SseParser
            self._parser = kind(self._max)
        return self._parser.feed(data)

    def close(self) -> list[bytes]:
        """Return what the end of the stream leaves, and ``END``."""
        return [*(self._parser.close() if self._parser else ()), END]


class JsonObjects:
    """The objects of a JSON array, or one object."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        #: How many braces and brackets within an object are open.
        self._depth = 0
        self._in_string = False
        #: The read ended after a backslash within a string.
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the objects that end within ``data``; raise ValueError for one over the bound."""
        found: list[bytes] = []
        start, at = 0, 0
        if self._escaped and data:
            at, self._escaped = 1, False
        while (match := (_INSIDE if self._in_string else _OUTSIDE).search(data, at)) is not None:
            at, mark = match.end(), match[0]
            if mark == b"\\":
                self._escaped = at == len(data)
                at += 1
            elif mark == b'"':
                self._in_string = not self._in_string and self._depth > 0
            elif mark in b"{[":
                if self._depth == 0:
                    if mark == b"[":
                        continue
                    start = match.start()
                self._depth += 1
            elif self._depth > 0:
                self._depth -= 1
                if self._depth == 0:
                    self._keep(data[start:at])
                    found.append(b"".join(self._pieces))
                    self._pieces, self._size = [], 0
        if self._depth > 0:
            self._keep(data[start:])
        return found

    def close(self) -> list[bytes]:
        """Return nothing; raise ValueError for a piece of an object."""
        if self._depth > 0:
            raise ValueError("the stream ends within an object")
        return []

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._max:
            raise ValueError(f"an event of more than {self._max} bytes")
