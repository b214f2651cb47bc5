"""When a backend wants to be asked again."""

import math
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

from portico.v1.headers_pb2 import Header


def retry_after(headers: Sequence[Header]) -> float | None:
    """Return the seconds that ``retry-after-ms`` or ``retry-after`` (seconds or a date) tells."""
    told = {header.name: header.value.decode("latin-1").strip() for header in headers}
    milliseconds = _number(told.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    after = told.get("retry-after", "")
    seconds = _number(after)
    return _until(after) if seconds is None else seconds


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
