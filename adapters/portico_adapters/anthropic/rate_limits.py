"""Anthropic's rate-limit headers as OpenAI's. Pure.

``anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`` mean what ``x-ratelimit-…`` do; resets are
RFC 3339 times there and durations here. Those of input and output tokens alone have no equal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from portico.v1.headers_pb2 import Header

_THEIRS: Final = "anthropic-ratelimit-"

#: Beginnings of the headers that ``for_callers`` reads.
READ: Final = (_THEIRS, "x-ratelimit-", "retry-after")

_SAME: Final[Mapping[str, str]] = {
    f"{_THEIRS}{what}-{value}": f"x-ratelimit-{value}-{what}"
    for what in ("requests", "tokens")
    for value in ("limit", "remaining", "reset")
}


def for_callers(headers: Sequence[Header], now: float) -> list[Header]:
    """Return what concerns callers, in OpenAI's words. ``now``: Unix seconds."""
    kept = []
    for header in headers:
        name = _SAME.get(header.name)
        if name is None:
            if header.name.startswith(READ) and not header.name.startswith(_THEIRS):
                kept.append(header)
        elif not name.startswith("x-ratelimit-reset-"):
            kept.append(Header(name=name, value=header.value))
        elif (seconds := _until(header.value, now)) is not None:
            kept.append(Header(name=name, value=_duration(seconds).encode()))
    return kept


def seconds_to_reset(headers: Sequence[Header], now: float) -> float | None:
    """Return the seconds until every limit that is used up has been reset. None: none is, or nobody says."""
    told = {header.name: header.value for header in headers}
    used_up = [name.removesuffix("-remaining") for name, value in told.items() if value.strip() == b"0"]
    resets = [
        seconds
        for name in used_up
        if name.startswith(_THEIRS) and (seconds := _until(told.get(f"{name}-reset", b""), now)) is not None
    ]
    return max(resets, default=None)


def _until(moment: bytes, now: float) -> float | None:
    try:
        return max(0.0, datetime.fromisoformat(moment.decode("latin-1").strip()).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _duration(seconds: float) -> str:
    """Write a duration as OpenAI does: 120ms, 1s, 6m0s, 1h0m0s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
