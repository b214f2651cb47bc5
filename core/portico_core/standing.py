"""How candidates have been doing: what routing looks at, a record for each model of a backend."""

from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from time import monotonic
from typing import Final

from portico_core.places import Places
from portico_core.resilience.breaker import Breaker
from portico_core.resilience.tail import Tail
from portico_core.state_store import Gate

# Weight of the newest time in the smoothed one: the last ten or so calls make most of it.
_SMOOTHING: Final = 0.2

# Records that are kept of one backend.
_MOST: Final = 1024


class Standing:
    """One candidate's record."""

    __slots__ = ("answered_at", "breaker", "first_content_ms", "in_flight", "places", "tails", "usual")

    def __init__(self, changed: Callable[[], None] = lambda: None, gate: Callable[[], Gate] = Places) -> None:
        """``changed`` is called when the breaker has opened or closed; ``gate`` returns who may go there."""
        #: Attempts under way.
        self.in_flight = 0
        #: Smoothed milliseconds to the answer, or to the first content of a stream. None: none came yet.
        self.first_content_ms: float | None = None
        #: The same of its whole answers (False) and of its streams (True), where one came.
        self.usual: dict[bool, float] = {}
        #: ``time.monotonic()`` of the last one.
        self.answered_at = -inf
        #: Whether calls may go there, by what became of those before.
        self.breaker = Breaker(changed)
        #: Where it has a limit of its own: who may go there now.
        self.places = gate()
        #: How long its slow answers take, and its streams to their first content, where that is asked for.
        self.tails: dict[bool, Tail] = {}

    def answered(self, milliseconds: float, *, streamed: bool) -> None:
        """Note the time to an answer, or to the first content of a stream."""
        self.first_content_ms = _smoothed(self.first_content_ms, milliseconds)
        self.usual[streamed] = _smoothed(self.usual.get(streamed), milliseconds)
        self.answered_at = monotonic()

    def tail(self, streamed: bool) -> Tail:
        """Return the times of its streams, or else of its whole answers."""
        found = self.tails.get(streamed)
        if found is None:
            found = self.tails[streamed] = Tail()
        return found


def _smoothed(before: float | None, value: float) -> float:
    return value if before is None else before + _SMOOTHING * (value - before)


class Standings:
    """The records of a backend's models. Callers may make names up: the oldest idle ones are forgotten."""

    def __init__(self, gate: Callable[[str], Gate] = lambda _: Places()) -> None:
        """``gate`` returns who may go to a model now."""
        self._gate = gate
        #: Are called when a breaker has opened or closed.
        self.listeners: set[Callable[[], None]] = set()
        self._records: dict[str, Standing] = {}

    def of(self, model: str) -> Standing:
        """Return a model's record."""
        found = self._records.get(model)
        if found is None:
            if len(self._records) >= _MOST:
                self._forget()
            found = self._records[model] = Standing(self._changed, partial(self._gate, model))
        return found

    def all(self) -> Iterator[tuple[str, Standing]]:
        """Yield every model with its record."""
        yield from tuple(self._records.items())

    def known(self, model: str) -> Standing | None:
        """Return a model's record, if there is one."""
        return self._records.get(model)

    def _forget(self) -> None:
        idle = [(model, record) for model, record in self._records.items() if not record.in_flight]
        # Those that ail are kept before others: a stable sort, False before True.
        idle.sort(key=lambda each: each[1].breaker.due > 0)
        for model, _ in idle[: _MOST // 2]:
            del self._records[model]

    def _changed(self) -> None:
        for listener in tuple(self.listeners):
            listener()
