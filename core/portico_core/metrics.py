"""What the core counts, in the terms of Prometheus: when a call begins and when it ends, nothing per token.

Every label takes its values from a set that no caller can make grow. The metrics are listed in
docs/operations.md.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, ProcessCollector

import portico
from portico.tallies import Known, Spread, Tally
from portico.v1.errors_pb2 import ErrorClass
from portico.v1.receipt_pb2 import Attempt, Outcome
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.model_labels import ModelLabels
from portico_core.usage import SOURCES

# Seconds. A call may take from an echo's millisecond to the ten minutes that it is given.
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST_CONTENT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_OUTCOMES: Final = {
    Outcome.OUTCOME_OK: "ok",
    Outcome.OUTCOME_ERROR: "error",
    Outcome.OUTCOME_CANCELLED: "cancelled",
}

_STREAMED: Final = frozenset({"Stream", "StreamComplete"})


class Metrics:
    """The metrics of one gateway, in a registry of their own: a program may run several gateways."""

    def __init__(self, models: ModelLabels, backends: Iterable[Backend]) -> None:
        self.registry: Final = CollectorRegistry()
        own = self.registry
        call = ("rpc", "model", "backend")
        self._calls = Tally("portico_calls", "Calls that have ended, by outcome.", (*call, "outcome"), own)
        self._errors = Tally(
            "portico_call_errors", "Calls that ended with an error.", (*call, "error_class"), own
        )
        self._running = Tally("portico_calls_in_flight", "Calls under way.", ("rpc",), own, falls=True)
        self._durations = Spread(
            "portico_call_duration_seconds", "From the start of a call to its end.", call, _DURATIONS, own
        )
        self._first_content = Spread(
            "portico_time_to_first_content_seconds",
            "From the start of a streamed call to its first content.",
            ("model", "backend"),
            _FIRST_CONTENT,
            own,
        )
        self._tokens = Tally(
            "portico_tokens",
            "Tokens of prompts and of answers, by who counted them.",
            ("model", "backend", "type", "source"),
            own,
        )
        self._spent = Tally(
            "portico_spent_tokens",
            "Tokens that attempts cost beside the answers, as their backends told.",
            ("backend", "type"),
            own,
        )
        self._unpriced = Tally(
            "portico_attempts_unpriced",
            "Attempts that may have cost tokens that their backends did not tell.",
            ("backend",),
            own,
        )
        self._attempts = Tally("portico_attempts", "Attempts that have ended.", ("backend", "result"), own)
        self._passed = Tally(
            "portico_candidates_passed",
            "Candidates that calls passed by without a try.",
            ("backend", "reason"),
            own,
        )
        attempts_running = Gauge(
            "portico_attempts_in_flight", "Attempts under way.", ("backend",), registry=own
        )
        queued = Gauge("portico_calls_queued", "Calls that wait for a place.", ("backend",), registry=own)
        breakers = Gauge(
            "portico_breakers_open", "Models that calls are kept away from.", ("backend",), registry=own
        )
        shed = Counter("portico_calls_shed", "Calls that were turned away at once.", registry=own)
        #: Counts a call that is turned away.
        self.shed: Final = shed.inc
        self._of_backends: Final[Sequence[tuple[Gauge, Callable[[Backend], float]]]] = (
            (attempts_running, Backend.in_flight),
            (queued, Backend.queued),
            (breakers, Backend.ailing),
        )
        # All that have one of the labels whose values a reload may change.
        self._labelled: Final[Sequence[Tally | Spread]] = (
            *(self._calls, self._errors, self._durations, self._first_content, self._tokens),
            *(self._spent, self._unpriced, self._attempts, self._passed),
        )
        self._backends: set[str] = set()
        self._models = models
        Info("portico_build", "The version that runs.", registry=own).info({"version": portico.__version__})
        ProcessCollector(registry=own)
        self.follow(models, backends)

    def follow(self, models: ModelLabels, backends: Iterable[Backend]) -> None:
        """Go on with the labels and the backends of another configuration.

        What was counted of backends and models that neither it nor the one before it has is forgotten: what
        the last calls of the one before came to is told until then.
        """
        before, self._models = self._models, models
        running = {backend.name: backend for backend in backends}
        for gone in self._backends - running.keys():
            for gauge, _ in self._of_backends:
                gauge.remove(gone)
        for name, backend in running.items():
            for gauge, read in self._of_backends:
                gauge.labels(name).set_function(partial(read, backend))
        known: Known = {
            "backend": lambda name: not name or name in running or name in self._backends,
            "model": lambda name: models.has(name) or before.has(name),
        }
        for each in self._labelled:
            each.forget(known)
        self._backends = set(running)

    async def told(self) -> CollectorRegistry:
        """Return the registry, for ``admin``."""
        return self.registry

    def began(self, call: Call) -> None:
        """Count a call that starts."""
        self._running.counts[(call.rpc,)] += 1

    def ended(self, call: Call, outcome: Outcome.ValueType) -> None:
        """Count a call that is over, with its attempts and what it cost."""
        model = self._models.label(call.model)
        backend = _last_tried(call) if call.served is None else call.served.backend
        labels = (call.rpc, model, backend)
        self._running.counts[(call.rpc,)] -= 1
        self._calls.counts[(*labels, _OUTCOMES[outcome])] += 1
        self._durations.observe(labels, call.duration_ms / 1000)
        if call.error is not None:
            self._errors.counts[(*labels, call.error.error_class.name.lower())] += 1
        if call.first_content_ms is not None and call.rpc in _STREAMED:
            self._first_content.observe((model, backend), call.first_content_ms / 1000)
        for attempt in call.attempts:
            self._attempts.counts[(attempt.candidate.backend, _result(attempt))] += 1
        for _, record, *_ in call.spent:
            name, cost = record.candidate.backend, record.usage
            if record.HasField("usage"):
                self._spent.counts[(name, "input")] += max(0, cost.prompt_tokens)
                self._spent.counts[(name, "output")] += max(0, cost.completion_tokens)
            elif record.unpriced:
                self._unpriced.counts[(name,)] += 1
        for candidate, why in call.passed:
            self._passed.counts[(candidate.backend, why)] += 1
        if call.usage is not None:
            # A number that this gateway does not know is another gateway's, which is a backend.
            source = SOURCES.get(call.usage.source, SOURCES[0])
            self._tokens.counts[(model, backend, "input", source)] += max(0, call.usage.prompt_tokens)
            self._tokens.counts[(model, backend, "output", source)] += max(0, call.usage.completion_tokens)


def _last_tried(call: Call) -> str:
    return call.attempts[-1].candidate.backend if call.attempts else ""


def _result(attempt: Attempt) -> str:
    if attempt.error_class:
        return ErrorClass.Name(attempt.error_class).removeprefix("ERROR_CLASS_").lower()
    return attempt.reason or "ok"
