"""Tells a stream's caller what becomes of its attempts, where it asked for that."""

from collections.abc import Iterator, Sequence

from portico.v1.events_pb2 import AttemptEvent, AttemptEventKind, DiscardedText
from portico_core.attempt import Attempt
from portico_core.call import Call


class AttemptEvents:
    """Looks at the attempts of a call, and tells what is new of them."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._attempts: list[Attempt] = []
        self._told: dict[int, AttemptEventKind.ValueType] = {}

    def began(self, attempts: Sequence[Attempt]) -> None:
        """Look at these too."""
        self._attempts += [each for each in attempts if each not in self._attempts]

    def news(self) -> list[AttemptEvent]:
        """Return what has happened since the last time."""
        if not self._call.events:
            return []
        return [event for number, each in enumerate(self._attempts, 1) for event in self._of(number, each)]

    def restarted(self, attempt: Attempt, discarded: Sequence[DiscardedText]) -> AttemptEvent:
        """Return the event that starts an answer over. It is told to all who asked for restarts."""
        number = self._attempts.index(attempt) + 1
        event = self._event(AttemptEventKind.ATTEMPT_EVENT_KIND_RESTARTED, number, attempt)
        event.discarded.extend(discarded)
        return event

    def _of(self, number: int, attempt: Attempt) -> Iterator[AttemptEvent]:
        kinds = AttemptEventKind
        last = self._told.get(number, kinds.ATTEMPT_EVENT_KIND_UNSPECIFIED)
        for kind, happened in (
            (kinds.ATTEMPT_EVENT_KIND_STARTED, True),
            (kinds.ATTEMPT_EVENT_KIND_COMMITTED, attempt.committed),
            (kinds.ATTEMPT_EVENT_KIND_FAILED, attempt.failure is not None or bool(attempt.left)),
        ):
            if kind <= last or not happened:
                continue
            self._told[number] = kind
            event = self._event(kind, number, attempt)
            if kind == kinds.ATTEMPT_EVENT_KIND_FAILED and attempt.record is not None:
                event.error_class = attempt.record.error_class
                event.upstream_status = attempt.record.upstream_status
                event.reason = attempt.record.reason
            elif kind == kinds.ATTEMPT_EVENT_KIND_FAILED:
                event.reason = attempt.left
            yield event

    def _event(self, kind: AttemptEventKind.ValueType, number: int, attempt: Attempt) -> AttemptEvent:
        return AttemptEvent(
            kind=kind, attempt=number, candidate=attempt.served, at_ms=self._call.elapsed_ms()
        )
