"""Server-sent events, without I/O: bytes in, the data of whole events out.

Rules (WHATWG HTML, "Server-sent events"):

1. Lines end with CR LF, LF or CR. A blank line ends an event.
2. The values of an event's ``data`` lines are joined by LF; one space after the colon is dropped.
3. Comments (lines that start with a colon), ``event``, ``id`` and ``retry`` yield nothing, and
   neither does an event without ``data``.
4. One byte order mark at the start of the stream is ignored.

Unlike browsers, ``close`` yields a last event whose blank line is missing: some servers forget it.
"""

from typing import Final

_BOM: Final = b"\xef\xbb\xbf"


class SseParser:
    """Parses one stream. ``max_event_bytes`` bounds what is kept between reads."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        # The start of an event whose end is still to come, in pieces: joining them at each read
        # would make large events cost the square of their size.
        self._pieces: list[bytes] = []
        self._size = 0
        self._ends_with_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that end within ``data``.

        Raise ValueError for an event larger than the bound.
        """
        if data and (b"\r" in data or self._ends_with_cr):
            data = self._with_lf(data)
        if self._pieces:
            if b"\n\n" not in self._pieces[-1][-1:] + data:
                self._keep(data)
                return []
            data = b"".join((*self._pieces, data))
            self._pieces, self._size = [], 0
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return []
        if end + 2 < len(data):
            self._keep(data[end + 2 :])
        return self._parsed(data[:end])

    def close(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut short of its blank line."""
        rest = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return self._parsed(rest)

    def _parsed(self, events: bytes) -> list[bytes]:
        """Return the data of whole events, which blank lines part."""
        if self._at_start:
            self._at_start = False
            events = events.removeprefix(_BOM)
        if events.startswith(b"data: ") and len(events) <= self._max:
            # Nearly always every event is one such line, which three passes in C settle.
            found = events[6:].split(b"\n\ndata: ")
            if events.count(b"\n") == 2 * len(found) - 2:
                return found
        return [data for event in events.split(b"\n\n") if (data := self._joined(event)) is not None]

    def _joined(self, event: bytes) -> bytes | None:
        """Return the data of an event of any form; None where it has none."""
        if len(event) > self._max:
            raise ValueError(f"an event of more than {self._max} bytes")
        values = [
            line[5:].removeprefix(b" ")
            for line in event.split(b"\n")
            if line == b"data" or line.startswith(b"data:")
        ]
        return b"\n".join(values) if values else None

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
        # One more than the bound: the LF of the last line belongs to the end of the event.
        if self._size > self._max + 1:
            raise ValueError(f"an event of more than {self._max} bytes")

    def _with_lf(self, data: bytes) -> bytes:
        """Make every line end with LF. A CR at the end counts at once; an LF after it is dropped."""
        if self._ends_with_cr and data.startswith(b"\n"):
            data = data[1:]
        self._ends_with_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
