"""What ``portico status`` says of a backend."""

from portico.v1.status_pb2 import AilingModel, BackendStatus, BreakerState
from portico_facade.cli import status


def test_models_that_ail_are_named_with_the_seconds_that_are_left() -> None:
    """Where they are known; a core that tells nothing of breakers leaves a dash."""
    backend = BackendStatus(
        name="a",
        breaker=BreakerState.BREAKER_STATE_OPEN,
        queued=3,
        ailing=[
            AilingModel(model="x", breaker=BreakerState.BREAKER_STATE_OPEN, seconds_left=11.6),
            AilingModel(model="y", breaker=BreakerState.BREAKER_STATE_HALF_OPEN),
        ],
    )
    row = dict(zip(status._HEADS, status._row(backend), strict=True))
    assert (row["BREAKER"], row["QUEUED"]) == ("open (x 12 s, y)", "3")
    assert dict(zip(status._HEADS, status._row(BackendStatus()), strict=True))["BREAKER"] == "-"
