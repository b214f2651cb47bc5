"""How several processes of one gateway are, as one. Pure."""

from collections.abc import Sequence
from typing import Final

from portico.v1.gateway_pb2 import GetStatusResponse
from portico.v1.status_pb2 import BackendStatus, BreakerState

#: What is told of a backend or model that one process sees so and another otherwise: the first of these.
_WORST_FIRST: Final = (
    BreakerState.BREAKER_STATE_OPEN,
    BreakerState.BREAKER_STATE_HALF_OPEN,
    BreakerState.BREAKER_STATE_RETURNING,
    BreakerState.BREAKER_STATE_CLOSED,
    BreakerState.BREAKER_STATE_UNSPECIFIED,
)


def merged_status(statuses: Sequence[GetStatusResponse]) -> GetStatusResponse:
    """Return what is true of all: counts are sums, times means, and of the states of backends the worst.

    All have the same configuration: models and backends are those of the newest process.
    """
    told = GetStatusResponse()
    if not statuses:
        return told
    oldest, *_, newest = sorted(statuses, key=lambda each: -each.uptime_seconds) * 2
    told.CopyFrom(newest)
    told.uptime_seconds = oldest.uptime_seconds
    for backend in told.backends:
        for each in statuses:
            for another in each.backends:
                if another.name == backend.name and each is not newest:
                    _add(backend, another)
    return told


def _add(told: BackendStatus, another: BackendStatus) -> None:
    ours, theirs = (each.attempts - each.failures for each in (told, another))
    if another.HasField("latency_ms") and not told.HasField("latency_ms"):
        told.latency_ms = another.latency_ms
    elif another.HasField("latency_ms") and ours + theirs > 0:
        told.latency_ms = (told.latency_ms * ours + another.latency_ms * theirs) / (ours + theirs)
    told.in_flight += another.in_flight
    told.queued += another.queued
    told.attempts += another.attempts
    told.failures += another.failures
    told.last_error = told.last_error or another.last_error
    told.listing_error = told.listing_error or another.listing_error
    told.breaker = min(told.breaker, another.breaker, key=_WORST_FIRST.index)
    for model in another.ailing:
        known = next((each for each in told.ailing if each.model == model.model), None)
        if known is None:
            told.ailing.add().CopyFrom(model)
        elif _WORST_FIRST.index(model.breaker) < _WORST_FIRST.index(known.breaker):
            known.CopyFrom(model)
