"""What a scripted upstream does after a request: a list of steps.

``answer`` and ``streamed`` make the usual scripts; failure tests put their own together::

    [*streamed(events, end=False), RESET]      # breaks off in mid-stream
    [head(), HANG]                             # headers, then silence
    [released, *answer(body)]                  # answers when the test sets the event `released`
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final


class End(Enum):
    """How a script ends a connection. Without one the connection waits for the next request."""

    CLOSE = "close as after a finished answer (FIN)"
    RESET = "break off as a crashed process does (RST)"
    HANG = "say nothing more until the client closes"


CLOSE: Final = End.CLOSE
RESET: Final = End.RESET
HANG: Final = End.HANG


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, for an upstream that is slow rather than stuck."""

    seconds: float


#: Bytes are written as they are, an event is waited for, a function is called.
Step = bytes | asyncio.Event | Callable[[], object] | Pause | End
Script = Sequence[Step]

Headers = Sequence[tuple[str, str]]

#: Ends a body in chunked transfer coding.
LAST_CHUNK: Final = b"0\r\n\r\n"


def head(
    status: int = 200,
    headers: Headers = (),
    *,
    content_type: str = "application/json",
    length: int | None = None,
) -> bytes:
    """Return the head of a response. ``length`` None: the body follows in chunked transfer coding."""
    reason = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unknown"
    lines = [
        f"HTTP/1.1 {status} {reason}",
        f"content-type: {content_type}",
        "transfer-encoding: chunked" if length is None else f"content-length: {length}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(
    body: bytes,
    status: int = 200,
    headers: Headers = (),
    *,
    content_type: str = "application/json",
    size: int | None = None,
) -> list[Step]:
    """Answer with a body of known length, in one write or in writes of ``size`` bytes."""
    return [head(status, headers, content_type=content_type, length=len(body)), *pieces(body, size)]


def streamed(
    body: bytes | Sequence[bytes],
    status: int = 200,
    headers: Headers = (),
    *,
    content_type: str = "text/event-stream",
    size: int | None = None,
    end: bool = True,
) -> list[Step]:
    """Answer in chunked transfer coding: one write per element of ``body``, or per ``size`` bytes.

    ``end`` False leaves the body unfinished, for what the script does next.
    """
    parts = pieces(body, size) if isinstance(body, bytes) else body
    steps: list[Step] = [head(status, headers, content_type=content_type)]
    steps += [chunk(part) for part in parts]
    if end:
        steps.append(LAST_CHUNK)
    return steps


def chunk(part: bytes) -> bytes:
    """Frame one piece of a body in chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(part), part)


def pieces(body: bytes, size: int | None) -> list[bytes]:
    """Cut ``body`` into pieces of ``size`` bytes. None: it stays whole."""
    step = size or len(body) or 1
    return [body[at : at + step] for at in range(0, len(body), step)]
