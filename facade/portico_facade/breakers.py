"""States of breakers as people read them."""

from portico.v1.status_pb2 import BreakerState


def breaker_in_words(state: BreakerState.ValueType) -> str | None:
    """Return ``closed``, ``open``, ``half-open`` or ``returning``. None: the core does not say."""
    if not state:
        return None
    return BreakerState.Name(state).removeprefix("BREAKER_STATE_").lower().replace("_", "-")
