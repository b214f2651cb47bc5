"""The access log: one line per request, in logfmt, and never a word of its content."""

import json
import logging
import re
from typing import Final

log: Final = logging.getLogger("portico.access")

_BARE: Final = re.compile(r"[\w./:@%*~+-]+", re.ASCII)


def record(level: int, **facts: str | float | bool | None) -> None:
    """Log the facts of one request in the order they are given; absent ones are left out."""
    if log.isEnabledFor(level):
        # Whoever writes lines of its own, such as a JSON formatter, finds the facts on the record.
        log.log(level, line(facts), extra={"facts": facts})


def line(facts: dict[str, str | float | bool | None]) -> str:
    """Render facts as ``name=value`` pairs; what a caller made up cannot forge a pair or a line."""
    return " ".join([f"{name}={_value(value)}" for name, value in facts.items() if value is not None])


def _value(value: str | float | bool) -> str:
    if isinstance(value, str):
        short = value[:256]
        return short if _BARE.fullmatch(short) else json.dumps(short)
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
