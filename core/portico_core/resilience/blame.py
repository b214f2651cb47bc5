"""Whether an attempt whose time was cut short from outside says something of its candidate. Pure."""

from typing import Final

# How many times its usual time a candidate must have been silent, and seconds at the least: a deadline that
# is too short for its answers, or a caller without patience, says nothing of it.
_FAR: Final = 4.0
_LEAST: Final = 0.5

# The part of the time for a whole answer that an attempt must have had.
_FAIR: Final = 0.5


def was_hung(silent: float, usual: float | None) -> bool:
    """Tell whether a candidate had hung when the caller's deadline passed, or the caller left.

    ``silent``: seconds without a byte of it; ``usual``: to its answers, or the first content of its streams.
    None: none came yet.
    """
    return silent >= max(_LEAST, _FAR * (usual or 0.0))


def had_its_share(taken: float, total: float) -> bool:
    """Tell whether an attempt had enough of the time that a call has in all.

    The rest may have gone to others, or to a queue.
    """
    return taken >= _FAIR * total
