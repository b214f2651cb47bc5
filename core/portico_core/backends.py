"""The configured backends at work: each with its adapter and how it has been doing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Final

from portico.adapter import Adapter, Limits, ListsByCaller
from portico.config import ConfigError, Mistakes
from portico.errors import ErrorClass, GatewayError
from portico.v1.status_pb2 import BackendStatus, BreakerState
from portico_core import config
from portico_core.candidates import Candidate
from portico_core.redaction import redact, secrets_in
from portico_core.resilience.breaker import Breaker, State
from portico_core.resilience.budget import Budget
from portico_core.standing import Standings
from portico_core.state_store import Gate, OwnState, StateStore

# Weight of the newest latency in the smoothed one: the last ten or so calls make most of it.
_SMOOTHING: Final = 0.2

_ON_THE_WIRE: Final = {
    State.OPEN: BreakerState.BREAKER_STATE_OPEN,
    State.HALF_OPEN: BreakerState.BREAKER_STATE_HALF_OPEN,
    State.RETURNING: BreakerState.BREAKER_STATE_RETURNING,
}
_WORST_FIRST: Final = tuple(_ON_THE_WIRE.values())
# Ailing models that are told of one backend.
_MOST_AILING: Final = 16


class Backend:
    """A backend, its adapter, and counts of what became of the attempts at it."""

    def __init__(self, settings: config.Backend, store: StateStore | None = None) -> None:
        """``store``: what is shared with other processes. None: nothing."""
        store = store or OwnState()
        self._settings = _essence(settings)
        self.name = settings.name
        self.dialect = settings.dialect
        self.timeouts = settings.timeouts
        #: The models it is configured to list. None: it is asked for them.
        self.models = settings.models
        self.adapter: Adapter = settings.adapter(
            settings.name, settings.settings, Limits(connect_seconds=settings.timeouts.connect)
        )
        self.standings = Standings(lambda model: store.gate(f"{settings.name}/{model}"))
        #: How much it is asked at a time, which a reload may change, and who may go there now.
        self.concurrency = settings.concurrency
        self.places = store.gate(settings.name)
        #: How much may be tried again here.
        self.budget = Budget()
        #: How often another may be asked beside it.
        self.hedges = Budget(share=0.1, floor=2.0)
        self._secrets = secrets_in(settings.settings)
        #: Whether it may list other models to other callers.
        self.lists_by_caller = isinstance(self.adapter, ListsByCaller) and self.adapter.lists_by_caller
        # Plain numbers: to count in a message of protobuf's takes twice as long.
        self._attempts = self._running = self._failures = 0
        self._latency_ms: float | None = None
        self._last_error = self._listing_error = ""

    def is_of(self, settings: config.Backend) -> bool:
        """Tell whether it is what these settings would make, but for how much it is asked at a time."""
        return _essence(settings) == self._settings

    def redact(self, error: GatewayError) -> None:
        """Take the backend's own keys out of its error, should it have repeated them."""
        redact(error, self._secrets)

    def status(self) -> BackendStatus:
        """Return how it has been doing, as it is now."""
        status = BackendStatus(
            name=self.name,
            dialect=self.dialect,
            in_flight=self._running,
            attempts=self._attempts,
            failures=self._failures,
            latency_ms=self._latency_ms,
            last_error=self._last_error,
            listing_error=self._listing_error,
            queued=self.queued(),
            breaker=BreakerState.BREAKER_STATE_CLOSED,
        )
        now = monotonic()
        ailing = [(model, state, breaker.due - now) for model, state, breaker in self._ailing(now)]
        if ailing:
            status.breaker = min((state for _, state, _ in ailing), key=_WORST_FIRST.index)
        for model, state, left in ailing[:_MOST_AILING]:
            status.ailing.add(model=model, breaker=state, seconds_left=left if 0 < left < inf else None)
        return status

    def listed(self, error: str = "") -> None:
        """Note whether it could be asked for its models; ``error``: why not."""
        self._listing_error = error

    def in_flight(self) -> int:
        """Return how many attempts are under way."""
        return self._running

    def queued(self) -> int:
        """Return how many calls wait for a place."""
        return self.places.waiting + sum(record.places.waiting for _, record in self.standings.all())

    def ailing(self) -> int:
        """Return how many of its models calls are kept away from."""
        states = [state for _, state, _ in self._ailing(monotonic())]
        return states.count(BreakerState.BREAKER_STATE_OPEN)

    def _ailing(self, now: float) -> Iterator[tuple[str, BreakerState.ValueType, Breaker]]:
        """Yield the models whose breakers are not closed."""
        for model, record in self.standings.all():
            state = record.breaker.state(now)
            if state is not State.CLOSED:
                yield model, _ON_THE_WIRE[state], record.breaker

    async def take(self, candidate: Candidate, patience: float, *, streamed: bool) -> Sequence[Gate] | None:
        """Take the places for an attempt at a candidate: its own, and the backend's. None: there is none.

        Nobody waits longer than for a silent backend, nor so long that the usual time to an answer of that
        kind would not be left of ``patience`` seconds: work for those who cannot wait for it is lost to all
        others.
        """
        standing = self.standings.of(candidate.model)
        usual = standing.usual.get(streamed, 0.0) / 1000
        until = monotonic() + min(patience - usual, self.timeouts.silence)
        own, taken = self.concurrency, list[Gate]()
        wanted = [
            (standing.places, candidate.limit, candidate.queue),
            (self.places, own.limit, own.queue),
        ]
        try:
            for places, limit, queue in wanted:
                if limit is None:
                    continue
                length = limit if queue is None else queue
                if not await places.take(limit, length, until - monotonic()):
                    break
                taken.append(places)
            else:
                return taken
        except BaseException:
            _give_back(taken)
            raise
        _give_back(taken)
        return None

    def began(self) -> None:
        """Count an attempt that starts."""
        self._attempts += 1
        self._running += 1

    def answered(self, milliseconds: float) -> None:
        """Account for the time to the answer, or to the first content of a stream."""
        before = milliseconds if self._latency_ms is None else self._latency_ms
        self._latency_ms = before + _SMOOTHING * (milliseconds - before)

    def ended(self, error: GatewayError | None, *, cancelled: bool = False) -> None:
        """Count an attempt that is over. The caller's mistakes and departures say nothing of a backend."""
        self._running -= 1
        if cancelled:
            return
        if error is None or _is_callers(error):
            self._last_error = ""
        else:
            self._failures += 1
            self._last_error = error.message


def _essence(settings: config.Backend) -> config.Backend:
    """Return what makes a backend another one: not where it stands in the file, and not its limit."""
    return replace(settings, place="", concurrency=config.Concurrency())


def _give_back(taken: Iterable[Gate]) -> None:
    for each in taken:
        each.leave()


def _is_callers(error: GatewayError) -> bool:
    """Tell whether the caller is at fault: its request, or its own key that was passed through."""
    passed = error.error_class is ErrorClass.CREDENTIAL and error.http_status < 500
    return passed or error.error_class is ErrorClass.CALLER


def build(
    settings: Iterable[config.Backend],
    running: Mapping[str, Backend] | None = None,
    store: StateStore | None = None,
) -> dict[str, Backend]:
    """Make the backends of a configuration, by name and in its order. Nothing is opened yet.

    Of those that are ``running`` already it takes the ones whose settings are the same. ``store``: what they
    share with other processes. Raises ConfigError
    that tells all whose adapters refuse to be made, such as for a proxy that the environment names and they
    cannot use.
    """
    store = store or OwnState()
    made: dict[str, Backend] = {}
    mistakes = Mistakes()
    for each in settings:
        same = (running or {}).get(each.name)
        if same is not None and same.is_of(each):
            made[each.name] = same
            continue
        try:
            made[each.name] = Backend(each, store)
        except ValueError as error:
            mistakes.add(ConfigError(f"{each.place}: backends.{each.name}: {error}"))
    mistakes.report()
    return made
