"""A client of the benchmarks: a connection that asks again and again, and looks at all that it is answered.

Every stream's tokens are counted, and the numbers of those that begin and end a read are compared with the
count (of paced and of checked loads those of all tokens): one that is lost, doubled or out of order is an
error.
"""

import asyncio
import re
import time
from array import array
from dataclasses import dataclass, field
from typing import Final, cast

from tests.bench.answers import TOKEN_BYTES
from tests.bench.spec import Spec

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TOKEN: Final = re.compile(rb"t(\d{8})@(\d{19})")
LAST_CHUNK: Final = b"0\r\n\r\n"
#: Between two chunks of HTTP, and what may be the beginning of that: nothing in an event looks like it.
_FRAMING: Final = re.compile(rb"\r\n[0-9a-fA-F]+\r\n")
_CUT: Final = re.compile(rb"\r(?:\n[0-9a-fA-F]*\r?)?\Z")
#: Bytes that a token and the framing in it may take.
_KEPT: Final = 48


def _times() -> "array[float]":
    return array("d")


@dataclass
class Tally:
    """What was seen."""

    #: Requests that may still be begun, and until when.
    left: float
    until: float
    done: int = 0
    tokens: int = 0
    whole: "array[float]" = field(default_factory=_times)
    first_token: "array[float]" = field(default_factory=_times)
    #: Between two reads of a stream that brought tokens.
    gaps: "array[float]" = field(default_factory=_times)
    #: From the upstream's write of a token to its being read.
    lags: "array[float]" = field(default_factory=_times)

    def next(self) -> bool:
        """Return whether another request may begin, and count it."""
        self.left -= 1
        return self.left >= 0 and time.monotonic() < self.until


class Client(asyncio.Protocol):
    """A connection that asks while it may."""

    def __init__(self, spec: Spec, request: bytes, tally: Tally) -> None:
        self._spec = spec
        self._request = request
        self._tally = tally
        self._all = spec.check or spec.ask.pace > 0
        # Of the answer under way: whether its head is still to come, and what of that did; how many bytes of
        # an unstreamed one are missing; its last bytes, and those that may begin a token; tokens so far.
        self._head = True
        self._buffer = b""
        self._needs: int | None = None
        self._ends = self._tail = b""
        self._seen = 0
        self._began = self._last = 0.0
        #: Done when no more is asked; RuntimeError where an answer is none.
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError("the connection was closed during an answer"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self._head:
            self._buffer += data
            head, separator, data = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 200" not in head[:16]:
                status = head.partition(b"\r\n")[0].decode(errors="replace").partition(" ")[2]
                self._fail(f"answered {status}: {data[:600].decode(errors='replace')}")
                return
            length = _LENGTH.search(head)
            self._head, self._needs, self._buffer = False, int(length[1]) if length else None, b""
        if self._spec.stream:
            self._ends = (self._ends + data[-5:])[-5:]
            self._read(data, now)
            if self._ends == LAST_CHUNK:
                self._end(now)
        elif self._needs is not None:
            self._needs -= len(data)
            if self._needs <= 0:
                self._end(now)
        else:
            self._ends = (self._ends + data[-5:])[-5:]
            if self._ends == LAST_CHUNK:
                self._end(now)

    def _read(self, data: bytes, now: float) -> None:
        """Count the tokens of a read; what may be the beginning of one is kept for the next."""
        # A proxy may begin a chunk in the middle of a token, and a read end in the middle of that.
        data = _FRAMING.sub(b"", self._tail + data)
        cut = _CUT.search(data, max(0, len(data) - _KEPT))
        framing = b""
        if cut:
            data, framing = data[: cut.start()], cut[0]
        # The last time that is there in full.
        at = data.rfind(b"@0", 0, len(data) - 18) - 9
        self._tail = data[max(at + TOKEN_BYTES if at >= 0 else 0, len(data) - _KEPT) :] + framing
        if at < 0:
            return
        fresh = data.count(b"@0", 0, at + TOKEN_BYTES)
        tally = self._tally
        if self._all:
            found = cast("list[tuple[bytes, bytes]]", _TOKEN.findall(data))
        else:
            first, last = _TOKEN.search(data), _TOKEN.match(data, at)
            found = [cast("tuple[bytes, bytes]", each.groups()) for each in (first, last) if each]
        expected = range(self._seen, self._seen + fresh)
        numbers = [int(number) for number, _ in found]
        if numbers != (list(expected) if self._all else [expected[0], expected[-1]]):
            self._fail(f"tokens {numbers} came, {expected} were due")
            return
        (tally.gaps if self._seen else tally.first_token).append(now - self._last)
        for _, written in found if self._all else found[:1]:
            tally.lags.append(now - int(written) / 1e9)
        self._seen += fresh
        tally.tokens += fresh
        self._last = now

    def _end(self, now: float) -> None:
        if self.over.done():
            return
        if self._spec.stream and self._seen != self._spec.ask.tokens:
            self._fail(f"{self._seen} tokens of {self._spec.ask.tokens}")
            return
        self._tally.whole.append(now - self._began)
        self._tally.done += 1
        self._ask()

    def _ask(self) -> None:
        if not self._tally.next():
            self.over.set_result(None)
            self._transport.close()
            return
        self._head, self._buffer, self._tail, self._ends, self._seen = True, b"", b"", b"", 0
        self._needs = None
        self._began = self._last = time.monotonic()
        self._transport.write(self._request)

    def _fail(self, why: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(why))
            self._transport.abort()
