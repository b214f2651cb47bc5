"""A request's body on its way in, bounded in size."""

import time
import zlib
from typing import Final

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, invalid_request, too_large
from portico_facade.request import Request

#: Of a body so many bytes, or all that is left, must arrive within every ``client_timeout``.
_LEAST_PROGRESS: Final = 16 * 1024

#: Smaller pieces are joined as they come: two bytes by themselves take fifty of memory.
_SMALL: Final = 4 * 1024

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_ENCODINGS: Final = _GZIP | {"", "identity"}


class Upload:
    """A request, and what has come of its body. ``limit``: bytes that a body may have, unpacked too."""

    __slots__ = (
        *("_encoding", "_limit", "_pieces", "_size", "_size_before"),
        *("refused", "request", "started", "whole"),
    )

    def __init__(self, request: Request, limit: int) -> None:
        #: ``time.monotonic()`` at which its headers had been read.
        self.started = time.monotonic()
        self.request = request
        #: Why the body is not taken.
        self.refused: GatewayError | None = None
        #: Whether it has come to its end, taken or not.
        self.whole = False
        self._limit = limit
        self._encoding = request.headers.get("content-encoding", "").lower()
        self._pieces: list[bytes] = []
        self._size = self._size_before = 0
        if self._encoding not in _ENCODINGS:
            self.refused = _unsupported(self._encoding)
        elif request.length is not None and request.length > limit:
            self.refused = too_large("request body", limit)

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body, or drop it when it is too much."""
        if self.refused is None:
            if self._pieces and len(self._pieces[-1]) < _SMALL:
                self._pieces[-1] += piece
            else:
                self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._limit:
                self.refused = too_large("request body", self._limit)
                self._pieces.clear()

    def stalled(self) -> bool:
        """Whether too little has come since this was asked before."""
        before, self._size_before = self._size_before, self._size
        return self._size - before < _LEAST_PROGRESS

    def body(self) -> bytes:
        """Hand over the body, once, unpacked if it was packed; 413 where that makes it too large."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        if self._encoding not in _GZIP:
            return data
        packed = zlib.decompressobj(wbits=31)
        try:
            data = packed.decompress(data, self._limit + 1)
        except zlib.error:
            raise _bad_gzip() from None
        if len(data) > self._limit:
            raise too_large("unpacked request body", self._limit)
        if not packed.eof or packed.unused_data:
            raise _bad_gzip()
        return data


def too_slow() -> GatewayError:
    """408."""
    message = "The request body did not arrive in time."
    return GatewayError(ErrorClass.CALLER, 408, message, INVALID_REQUEST, "request_timeout")


def _unsupported(encoding: str) -> GatewayError:
    message = f"Content-Encoding {encoding!r} is not supported. Send the body as it is, or in gzip."
    return GatewayError(ErrorClass.CALLER, 415, message, INVALID_REQUEST, "unsupported_content_encoding")


def _bad_gzip() -> GatewayError:
    return invalid_request("The request body is not gzip, as its Content-Encoding says.")
