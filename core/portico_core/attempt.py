"""One try of one candidate: what it may take, what became of it, and whether another may follow."""

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Final, TypeVar

from portico.adapter import Upstream
from portico.errors import ErrorClass, GatewayError, deadline_exceeded, internal, upstream_silent
from portico.v1 import receipt_pb2
from portico.v1.receipt_pb2 import Served
from portico.v1.usage_pb2 import Usage
from portico_core.attempt_end import LONGEST_NAME, is_ours_to_pass, may_cost, record_of
from portico_core.backends import Backend
from portico_core.call import Call, Spent
from portico_core.candidates import Candidate
from portico_core.policy import DROP
from portico_core.resilience.blame import had_its_share, was_hung
from portico_core.resilience.breaker import FAILURE, Verdict, verdict
from portico_core.resilience.tail import Tail
from portico_core.state_store import Gate
from portico_core.telemetry import line
from portico_core.watchdog import End, Watchdog

M = TypeVar("M")

_log: Final = logging.getLogger("portico.attempts")

# Seconds that a caller is told to wait, at most: some clients sleep for as long as they are told, and what a
# backend says beyond that (a moment for a duration, a slip of units) it does not mean.
_LONGEST_WAIT: Final = 86_400.0

# Told of parameters that were left out; the names of unknown ones are the caller's.
_MOST_DROPPED: Final = 16


class Attempt:
    """``with attempt:`` accounts for what happens inside.

    It keeps an error that comes before the commit as ``failure``, for ``Tries`` to say what follows; one
    that comes after it goes on to the caller.
    """

    __slots__ = (
        *("backend", "call", "candidate", "committed", "failure", "left", "number", "on_commit", "params"),
        *("record", "served", "standing", "tail", "told", "watchdog"),
        *("_begun", "_deprived", "_dropped", "_first_content", "_places", "_started", "_streamed", "_ticket"),
        "_upstream_request_id",
    )

    def __init__(
        self,
        call: Call,
        backend: Backend,
        candidate: Candidate,
        places: Sequence[Gate] = (),
        *,
        number: int = 0,
        streamed: bool,
    ) -> None:
        """``places``: those that were taken for it, which it gives back when it is over."""
        self.call = call
        self.backend = backend
        self.candidate = candidate
        #: Which of the call's candidates it is at.
        self.number = number
        self.standing = backend.standings.of(candidate.model)
        self.served = Served(backend=candidate.backend, model=candidate.model)
        #: Its answer, or the first content of it, has come: no other candidate may take over.
        self.committed = False
        #: Why it failed, once it has.
        self.failure: GatewayError | None = None
        #: What its adapter is asked for.
        self.params = call.params
        #: Why it was left, though it did not fail.
        self.left = ""
        #: What its backend told of its cost. None: nothing, or nothing yet.
        self.told: Usage | None = None
        #: Its record for the receipt, once it is over.
        self.record: receipt_pb2.Attempt | None = None
        #: Where its time to the first content is noted too. None: nowhere.
        self.tail: Tail | None = None
        #: Is called when it commits.
        self.on_commit: Callable[[], None] | None = None
        self._streamed = streamed
        self._places = places
        self._started = monotonic()
        # Noted here and not when it begins, which may be later: nobody else is to be the probe meanwhile.
        self._ticket = self.standing.breaker.began(self._started)
        self._begun = False
        # Whether it was cut off because others had taken most of the call's time.
        self._deprived = False
        self._first_content: End | None = None
        self._dropped: Sequence[str] = ()
        self._upstream_request_id = ""
        self.watchdog = Watchdog(backend.timeouts.silence, self._ends())

    def upstream(self) -> Upstream[Any]:
        """Return the call for the adapter."""
        call = self.call
        upstream: Upstream[Any] = Upstream(
            self.params,
            self.candidate.model,
            call.headers,
            call.context.request_id,
            self.watchdog.alive,
            self._named,
            call.context.deadline,
            self.candidate.backend,
            drop_unsupported=call.policy.unsupported == DROP,
            traceparent=call.context.traceparent,
        )
        self._dropped = upstream.dropped
        return upstream

    def _named(self, upstream_request_id: str) -> None:
        self._upstream_request_id = upstream_request_id

    def commit(self) -> None:
        """Note that the answer, or the first content of a stream, has come."""
        self.committed = True
        if self.on_commit is not None:
            self.on_commit()
        if self._first_content is not None:
            self.watchdog.lift(self._first_content)
        call, now = self.call, monotonic()
        # Known by now: the request has been made of what is left.
        call.dropped += self._dropped
        if call.dropped:
            self.served.dropped.extend([each[:LONGEST_NAME] for each in call.dropped[:_MOST_DROPPED]])
        call.served = self.served
        call.first_content_ms = (now - call.started) * 1000
        taken = (now - self._started) * 1000
        self.backend.answered(taken)
        self.standing.answered(taken, streamed=self._streamed)
        if self.tail is not None:
            self.tail.note(taken)
        self.standing.breaker.answered(self._ticket, now)

    def tell(self, what: str, **values: object) -> None:
        """Log what an operator should know of an attempt that went well."""
        request_id = self.call.context.request_id
        _log.info("%s %s", what, line(request_id=request_id, candidate=self.candidate, **values))

    def elapsed_ms(self) -> float:
        """Return the milliseconds since it was made."""
        return (monotonic() - self._started) * 1000

    def give_back(self) -> None:
        """Give back what was taken for it, once. It may have had no chance to begin."""
        for each in self._places:
            each.leave()
        self._places = ()
        if not self._begun:
            self._begun = True
            self.standing.breaker.ended(self._ticket, None, monotonic(), well=False)

    def __enter__(self) -> None:
        self.backend.began()
        self.standing.in_flight += 1
        self._begun = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.watchdog.close()
        failure = None if error is None or is_ours_to_pass(error) else self._failure(error)
        cancelled = error is not None and failure is None
        self.backend.ended(failure, cancelled=cancelled)
        says = None if error is None else self._verdict(failure, cancelled=cancelled)
        now, standing = monotonic(), self.standing
        standing.in_flight -= 1
        standing.breaker.ended(self._ticket, says, now, well=self.committed or error is None)
        if self._places:
            self.give_back()
        self.record = record_of(
            self.served,
            (self._started - self.call.started) * 1000,
            (now - self._started) * 1000,
            failure,
            self.left or ("cancelled" if cancelled else ""),
            self._upstream_request_id,
        )
        self.call.attempts.append(self.record)
        self.failure = failure
        if error is not None or self.left:
            self.call.spent.append(Spent(self.served, self.record, self.told, may_cost(failure)))
        if failure is None:
            return False
        if not self.committed:
            return True
        if failure is not error:
            raise failure from error
        return False

    def _verdict(self, failure: GatewayError | None, *, cancelled: bool) -> Verdict | None:
        """Return what the end of the attempt says of its candidate. None: nothing."""
        if cancelled or (failure is not None and self._is_out_of_time(failure)):
            if self.committed or self.left:
                return None
            return FAILURE if self._was_hung(cancelled=cancelled) else None
        if failure is None or self._deprived:
            return None
        return verdict(failure, by_caller=self.backend.lists_by_caller)

    def _was_hung(self, *, cancelled: bool) -> bool:
        usual = self.standing.usual.get(self._streamed)
        return was_hung(
            self.watchdog.silent(),
            None if usual is None else usual / 1000,
            others=monotonic() - self.standing.answered_at,
            # gRPC cancels at the deadline, which may come before our own watch does.
            left=cancelled and self.call.context.remaining() != 0,
        )

    def _is_out_of_time(self, failure: GatewayError) -> bool:
        """Tell whether the caller's deadline passed here, and not at the backend."""
        return failure.code == "deadline_exceeded" and not failure.upstream_status

    def _failure(self, error: BaseException) -> GatewayError:
        """Return the error as a GatewayError, and log what the operator should know of it."""
        request_id = self.call.context.request_id
        if not isinstance(error, GatewayError):
            where = line(request_id=request_id, candidate=self.candidate)
            _log.error("adapter raised %s", where, exc_info=error)
            return internal(repr(error))
        self.backend.redact(error)
        if error.retry_after is not None:
            error.retry_after = min(error.retry_after, _LONGEST_WAIT)
        _log.log(
            logging.INFO if error.error_class is ErrorClass.CALLER else logging.WARNING,
            "attempt failed %s",
            line(
                request_id=request_id,
                candidate=self.candidate,
                error_class=error.error_class.name,
                code=error.code,
                upstream_status=error.upstream_status,
                upstream_request_id=self._upstream_request_id,
                detail=error.detail,
            ),
        )
        return error

    def _ends(self) -> tuple[End, ...]:
        """Return the moments at which this attempt must be over, beside the backend's silence."""
        timeouts = self.backend.timeouts
        if not self._streamed:
            own = End(self.call.started + timeouts.total, self._too_late)
        else:
            # Comments keep a stream from being silent, for ever if need be.
            limit = timeouts.total if timeouts.first_content is None else timeouts.first_content
            own = self._first_content = End(self._started + limit, _took("its first content", limit))
        deadline = self.call.context.deadline
        return (own,) if deadline is None else (End(deadline, deadline_exceeded), own)

    def _too_late(self) -> GatewayError:
        total = self.backend.timeouts.total
        self._deprived = not had_its_share(monotonic() - self._started, total)
        return _took("the answer", total)()


def _took(what: str, seconds: float) -> Callable[[], GatewayError]:
    return lambda: upstream_silent(f"The backend did not send {what} within {seconds:g} s.")
