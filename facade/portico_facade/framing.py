"""Where the body of a request ends, as its bytes come. Pure, and the same wherever they are cut.

``take(data)`` returns what of the data is of the body, and what follows the body; the latter is None as
long as the body has not ended. Raises GatewayError (400) for what is no body.
"""

import re
from typing import Final

from portico_facade.request import malformed

#: The size of a chunk; 15 digits are more than any limit.
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}\r\n")

_LONGEST_LINE: Final = 17


class Measured:
    """A body of so many bytes, one at least."""

    def __init__(self, length: int) -> None:
        self._left = length

    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        """See above."""
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return data, None
        return data[:left], data[left:]


class Chunked:
    """A body in chunks (RFC 9112, 7.1).

    Extensions of chunks and trailers, which no client of an API sends, are refused: servers and proxies
    have read them in different ways.
    """

    def __init__(self) -> None:
        #: Of the chunk that has begun.
        self._left = 0
        #: What has come of a line.
        self._line = b""
        #: What the next line must be: None: a size; else nothing, and after the last chunk the end.
        self._last: bool | None = None

    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        """See above."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = data.find(b"\n", at, at + _LONGEST_LINE) + 1
            line = self._line + data[at : end or at + _LONGEST_LINE]
            if not end:
                if len(line) >= _LONGEST_LINE:
                    raise malformed()
                self._line = line
                break
            self._line = b""
            at = end
            if self._last is None:
                if not _SIZE.fullmatch(line):
                    raise malformed()
                self._left = int(line, 16)
                self._last = not self._left
            elif line != b"\r\n":
                raise malformed()
            elif self._last:
                return b"".join(pieces), data[at:]
            else:
                self._last = None
        return b"".join(pieces), None
