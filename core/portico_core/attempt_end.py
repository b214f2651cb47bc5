"""The end of an attempt: whose it is, what it may have cost, and how it stands in the receipt."""

import asyncio
from typing import Final

from portico.errors import ErrorClass, GatewayError
from portico.v1.receipt_pb2 import Attempt, Served
from portico_core.resilience.symptoms import Symptom, symptom

#: Of names in a receipt that callers or backends make up.
LONGEST_NAME: Final = 64

# What a backend may have worked for before it came to that.
_WORKED: Final = frozenset({Symptom.FAILED, Symptom.SILENT, Symptom.ENDLESS, Symptom.FAULT})


def is_ours_to_pass(error: BaseException) -> bool:
    """Tell a caller who left, or a process that ends, from a failure of the attempt.

    A cancellation that nobody asked for comes from inside of the adapter: passed on, it would end the
    call without a word to its caller.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return not isinstance(error, Exception)


def may_cost(failure: GatewayError | None) -> bool:
    """Tell whether a backend may have worked for what was not refused. None: the attempt was left."""
    if failure is None:
        return True
    # 504 without a word of the backend's: it was silent, or the caller's deadline passed.
    worked = symptom(failure) in _WORKED or failure.http_status == 504
    return worked and failure.upstream_status < 400


def record_of(
    served: Served,
    started_ms: float,
    duration_ms: float,
    failure: GatewayError | None,
    reason: str,
    upstream_request_id: str,
) -> Attempt:
    """Return the record of an attempt. ``started_ms``: since its call began; ``reason``: why it was left."""
    record = Attempt(
        candidate=served,
        started_ms=started_ms,
        duration_ms=duration_ms,
        reason=reason,
        upstream_request_id=upstream_request_id[:LONGEST_NAME],
    )
    if failure is not None:
        record.error_class = failure.error_class.value
        record.upstream_status = failure.upstream_status
        # A backend's words about the caller's mistake may repeat the caller's texts.
        is_callers = failure.error_class is ErrorClass.CALLER
        record.reason = (failure.code or failure.type) if is_callers else failure.message
    return record
