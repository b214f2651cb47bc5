"""What every call gets, however it ends: a name, a receipt, a line in the log, and a place in the counts."""

import asyncio
import logging
import os
from types import TracebackType
from typing import Final

from portico.errors import GatewayError, deadline_exceeded, internal, too_many_calls
from portico.v1.receipt_pb2 import Outcome
from portico_core import telemetry
from portico_core.call import Call
from portico_core.metrics import Metrics
from portico_core.setup import Setup

_log: Final = logging.getLogger("portico.gateway")

# To look it up costs a call.
_OK: Final = Outcome.OUTCOME_OK


class Asking:
    """The calls under way that ask a backend."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Settling:
    """``with``: sees a call to its end, whichever it is; only GatewayErrors leave.

    What its setup has open stays open for it. A class, as a generator would cost it twice as much.
    """

    __slots__ = ("_asking", "_call", "_metrics", "_setup")

    def __init__(self, call: Call, setup: Setup, metrics: Metrics, asking: Asking | None = None) -> None:
        """``asking``: those among whom it counts. None: it asks no backend."""
        self._call = call
        self._setup = setup
        self._metrics = metrics
        self._asking = asking

    def __enter__(self) -> None:
        """Turn it away, before anything is done for it, when too many are under way."""
        asking = self._asking
        if asking is not None:
            if asking.count >= self._setup.config.grpc.max_calls:
                self._metrics.shed()
                raise too_many_calls()
            asking.count += 1
        context = self._call.context
        if not context.request_id:
            context.request_id = f"req_{os.urandom(16).hex()}"
        self._metrics.began(self._call)
        self._setup.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call = self._call
        if self._asking is not None:
            self._asking.count -= 1
        self._setup.give_back()
        call.duration_ms = call.elapsed_ms()
        outcome = _OK if error is None else self._outcome(error)
        call.context.receipt = telemetry.receipt(call, outcome)
        telemetry.log(call, call.context.receipt)
        self._metrics.ended(call, outcome)
        if call.error is not None and isinstance(error, Exception) and call.error is not error:
            raise call.error from error

    def _outcome(self, error: BaseException) -> Outcome.ValueType:
        call = self._call
        if isinstance(error, GatewayError):
            call.error = error
        elif isinstance(error, Exception):
            where = telemetry.line(request_id=call.context.request_id, rpc=call.rpc)
            _log.error("call failed %s", where, exc_info=error)
            call.error = internal(repr(error))
        elif isinstance(error, asyncio.CancelledError | GeneratorExit) and call.context.remaining() == 0:
            # gRPC cancels the handler at the deadline, which may come before our own watch does.
            call.error = deadline_exceeded()
        else:
            return Outcome.OUTCOME_CANCELLED
        return Outcome.OUTCOME_ERROR
