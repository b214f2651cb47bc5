"""When a backend wants to be asked again."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

from portico.v1.headers_pb2 import Header

_RESET: Final = "x-ratelimit-reset"
_REMAINING: Final = "x-ratelimit-remaining"

_DURATION: Final = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_UNITS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)

# A number may be a moment, in seconds or milliseconds since 1970, if that is no more than so many seconds ago
# or ahead. Any other is a wait, however long: nobody is to be asked at once because of a moment in 2001.
_AGO: Final = 86400.0
_AHEAD: Final = 31 * 86400.0


def retry_after(headers: Sequence[Header]) -> float | None:
    """Return the seconds that a backend asks to wait; None: it does not say.

    ``retry-after-ms`` counts before ``retry-after`` (seconds, a duration such as 1m30s, or a date), and this
    before the resets of those limits of which nothing remains (``x-ratelimit-reset-tokens: 6m0s``, or
    a moment, as OpenRouter has it).
    """
    told = {header.name.lower(): header.value.decode("latin-1").strip() for header in headers}
    milliseconds = _number(told.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    after = told.get("retry-after", "")
    seconds = _seconds(after)
    if seconds is None:
        seconds = _until(after)
    return _reset(told) if seconds is None else seconds


def _reset(told: Mapping[str, str]) -> float | None:
    """Return when the last of the exhausted limits is over."""
    waits = [
        wait
        for name, value in told.items()
        if name.startswith(_RESET)
        and _number(told.get(_REMAINING + name.removeprefix(_RESET), "")) == 0
        and (wait := _seconds(value)) is not None
    ]
    return max(waits, default=None)


def _seconds(text: str) -> float | None:
    """Read a number of seconds, a duration with units, or a moment as a number."""
    number = _number(text)
    if number is None:
        return _duration(text)
    now = time.time()
    for moment in (number, number / 1000):
        if now - _AGO < moment < now + _AHEAD:
            return max(0.0, moment - now)
    return number


def _duration(text: str) -> float | None:
    parts = _DURATION.fullmatch(text)
    numbers = [_number(part or "0") for part in parts.groups()] if parts else [None]
    if None in numbers:
        return None
    return sum(number * unit for number, unit in zip(numbers, _UNITS, strict=True) if number)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(date: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
