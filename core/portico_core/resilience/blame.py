"""Whether an attempt whose time was cut short from outside says something of its candidate. Pure."""

from typing import Final

# How many times its usual time a candidate must have been silent, and seconds at the least: a deadline that
# is too short for its answers, or a caller without patience, says nothing of it.
_FAR: Final = 4.0
_LEAST: Final = 0.5
# Seconds at the least before a caller who leaves says anything of one that has not answered yet: callers
# leave for many reasons, as who types on does, and a first answer may wait for its model to be loaded.
_COLD: Final = 5.0

# The part of the time for a whole answer that an attempt must have had.
_FAIR: Final = 0.5


def was_hung(silent: float, usual: float | None, *, others: float, left: bool) -> bool:
    """Tell whether a candidate had hung when the caller's deadline passed, or the caller left (``left``).

    ``silent``: seconds without a byte of it; ``usual``: to its answers, or the first content of its streams.
    None: none came yet. ``others``: seconds since it has answered any call: who answers does not hang,
    though many that ask for too much at once give up together.
    """
    least = _COLD if left and usual is None else _LEAST
    return silent <= others and silent >= max(least, _FAR * (usual or 0.0))


def had_its_share(taken: float, total: float) -> bool:
    """Tell whether an attempt had enough of the time that a call has in all.

    The rest may have gone to others, or to a queue.
    """
    return taken >= _FAIR * total
