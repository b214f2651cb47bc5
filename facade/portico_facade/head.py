"""The head of an answer, as bytes. Pure, but for the clock."""

import functools
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_PHRASES: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}


def render_head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return status line and headers, with the date and the blank line after them.

    Raises ValueError for a header that would be more than one line.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header with a line break")
    phrase = _PHRASES.get(status, "Unknown")
    date = _date(int(time.time()))
    return f"HTTP/1.1 {status} {phrase}\r\nServer: portico\r\nDate: {date}\r\n{lines}\r\n".encode("latin-1")


@functools.lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
