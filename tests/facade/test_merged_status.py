"""How several processes of one gateway are, as one."""

from portico.v1.gateway_pb2 import GetStatusResponse
from portico.v1.status_pb2 import AilingModel, BackendStatus, BreakerState
from portico_facade.merged_status import merged_status

OPEN = BreakerState.BREAKER_STATE_OPEN
RETURNING = BreakerState.BREAKER_STATE_RETURNING
CLOSED = BreakerState.BREAKER_STATE_CLOSED


def test_counts_add_up_times_are_means_and_the_worst_state_counts() -> None:
    one = GetStatusResponse(
        uptime_seconds=10,
        models=["m"],
        backends=[
            BackendStatus(
                name="b", attempts=4, failures=1, in_flight=1, queued=2, latency_ms=10, breaker=CLOSED
            ),
            BackendStatus(name="idle", breaker=CLOSED),
        ],
    )
    other = GetStatusResponse(
        uptime_seconds=30,
        models=["m"],
        backends=[
            BackendStatus(
                name="b",
                attempts=1,
                in_flight=2,
                latency_ms=50,
                breaker=OPEN,
                last_error="broken",
                ailing=[AilingModel(model="m", breaker=OPEN, seconds_left=3)],
            ),
            BackendStatus(name="idle", breaker=CLOSED, latency_ms=7, listing_error="shut"),
        ],
    )
    told = merged_status([other, one])
    assert (told.uptime_seconds, list(told.models)) == (30, ["m"])
    first, second = told.backends
    assert (first.attempts, first.failures, first.in_flight, first.queued) == (5, 1, 3, 2)
    assert (first.latency_ms, first.breaker, first.last_error) == (20, OPEN, "broken")
    assert [(each.model, each.seconds_left) for each in first.ailing] == [("m", 3)]
    assert (second.latency_ms, second.listing_error, second.attempts) == (7, "shut", 0)


def test_a_model_that_ails_in_several_processes_is_told_once() -> None:
    statuses = [
        GetStatusResponse(
            backends=[BackendStatus(name="b", breaker=state, ailing=[AilingModel(model="m", breaker=state)])]
        )
        for state in (RETURNING, OPEN, RETURNING)
    ]
    (backend,) = merged_status(statuses).backends
    assert backend.breaker == OPEN
    assert [each.breaker for each in backend.ailing] == [OPEN]


def test_one_process_is_itself_and_none_is_nothing() -> None:
    one = GetStatusResponse(uptime_seconds=1, backends=[BackendStatus(name="b", attempts=3)])
    assert merged_status([one]) == one
    assert merged_status([]) == GetStatusResponse()
