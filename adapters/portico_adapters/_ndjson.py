"""Newline-delimited JSON, without I/O: bytes in, whole lines out.

Lines end with LF; a CR before it is white space to a JSON parser and stays. Blank lines yield nothing.
``close`` yields a last line whose LF is missing: an error in the middle of a stream often comes so.
"""


class NdjsonParser:
    """Parses one stream. ``max_line_bytes`` bounds what is kept between reads."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max = max_line_bytes
        # The start of a line whose end is still to come, in pieces: joining them at each read would
        # make large lines cost the square of their size.
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that end within ``data``.

        Raise ValueError for a line larger than the bound.
        """
        ended, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._keep(data)
            return []
        if self._pieces:
            ended = b"".join((*self._pieces, ended))
            self._pieces, self._size = [], 0
        lines = self._checked(ended)
        self._keep(rest)
        return lines

    def close(self) -> list[bytes]:
        """Return the line that the end of the stream cut short of its LF."""
        rest = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return self._checked(rest)

    def _checked(self, ended: bytes) -> list[bytes]:
        lines = [line for line in ended.split(b"\n") if line.strip()]
        for line in lines:
            self._bound(len(line))
        return lines

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
            self._bound(self._size)

    def _bound(self, size: int) -> None:
        if size > self._max:
            raise ValueError(f"a line of more than {self._max} bytes")
