"""How candidates have been doing: what routing looks at, a record for each model of a backend."""

from typing import Final

# Weight of the newest time in the smoothed one: the last ten or so calls make most of it.
_SMOOTHING: Final = 0.2

# Records that are kept of one backend.
_MOST: Final = 1024


class Standing:
    """One candidate's record."""

    __slots__ = ("first_content_ms", "in_flight")

    def __init__(self) -> None:
        #: Attempts under way.
        self.in_flight = 0
        #: Smoothed milliseconds to the answer, or to the first content of a stream. None: none came yet.
        self.first_content_ms: float | None = None

    def began(self) -> None:
        """Note an attempt that starts."""
        self.in_flight += 1

    def answered(self, milliseconds: float) -> None:
        """Note the time to an answer, or to the first content of a stream."""
        before = milliseconds if self.first_content_ms is None else self.first_content_ms
        self.first_content_ms = before + _SMOOTHING * (milliseconds - before)

    def ended(self) -> None:
        """Note an attempt that is over."""
        self.in_flight -= 1


class Standings:
    """The records of a backend's models. Callers may make names up: the oldest idle ones are forgotten."""

    def __init__(self) -> None:
        self._records: dict[str, Standing] = {}

    def of(self, model: str) -> Standing:
        """Return a model's record."""
        found = self._records.get(model)
        if found is None:
            if len(self._records) >= _MOST:
                self._forget()
            found = self._records[model] = Standing()
        return found

    def _forget(self) -> None:
        idle = [model for model, record in self._records.items() if not record.in_flight]
        for model in idle[: _MOST // 2]:
            del self._records[model]
