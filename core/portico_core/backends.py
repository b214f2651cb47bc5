"""The configured backends at work: each with its adapter and how it has been doing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from portico.adapter import Adapter, Limits, ListsByCaller
from portico.config import ConfigError, Mistakes
from portico.errors import ErrorClass, GatewayError
from portico.v1.status_pb2 import BackendStatus
from portico_core import config
from portico_core.redaction import redact, secrets_in
from portico_core.resilience.budget import Budget
from portico_core.standing import Standings

# Weight of the newest latency in the smoothed one: the last ten or so calls make most of it.
_SMOOTHING = 0.2


class Backend:
    """A backend, its adapter, and counts of what became of the attempts at it."""

    def __init__(self, settings: config.Backend) -> None:
        self._settings = replace(settings, place="")
        self.name = settings.name
        self.dialect = settings.dialect
        self.timeouts = settings.timeouts
        #: The models it is configured to list. None: it is asked for them.
        self.models = settings.models
        self.adapter: Adapter = settings.adapter(
            settings.name, settings.settings, Limits(connect_seconds=settings.timeouts.connect)
        )
        self.standings = Standings()
        #: How much may be tried again here.
        self.budget = Budget()
        self._secrets = secrets_in(settings.settings)
        #: Whether it may list other models to other callers.
        self.lists_by_caller = isinstance(self.adapter, ListsByCaller) and self.adapter.lists_by_caller
        self._status = BackendStatus(name=self.name, dialect=self.dialect)

    def is_of(self, settings: config.Backend) -> bool:
        """Tell whether it is what these settings would make. Where they stand in the file does not count."""
        return replace(settings, place="") == self._settings

    def redact(self, error: GatewayError) -> None:
        """Take the backend's own keys out of its error, should it have repeated them."""
        redact(error, self._secrets)

    def status(self) -> BackendStatus:
        """Return how it has been doing, as it is now: a copy."""
        status = BackendStatus()
        status.CopyFrom(self._status)
        return status

    def in_flight(self) -> int:
        """Return how many attempts are under way."""
        return self._status.in_flight

    def began(self) -> None:
        """Count an attempt that starts."""
        self._status.attempts += 1
        self._status.in_flight += 1

    def answered(self, milliseconds: float) -> None:
        """Account for the time to the answer, or to the first content of a stream."""
        status = self._status
        before = status.latency_ms if status.HasField("latency_ms") else milliseconds
        status.latency_ms = before + _SMOOTHING * (milliseconds - before)

    def ended(self, error: GatewayError | None, *, cancelled: bool = False) -> None:
        """Count an attempt that is over. The caller's mistakes and departures say nothing of a backend."""
        self._status.in_flight -= 1
        if cancelled:
            return
        if error is None or _is_callers(error):
            self._status.last_error = ""
        else:
            self._status.failures += 1
            self._status.last_error = error.message


def _is_callers(error: GatewayError) -> bool:
    """Tell whether the caller is at fault: its request, or its own key that was passed through."""
    passed = error.error_class is ErrorClass.CREDENTIAL and error.http_status < 500
    return passed or error.error_class is ErrorClass.CALLER


def build(
    settings: Iterable[config.Backend], running: Mapping[str, Backend] | None = None
) -> dict[str, Backend]:
    """Make the backends of a configuration, by name and in its order. Nothing is opened yet.

    Of those that are ``running`` already it takes the ones whose settings are the same. Raises ConfigError
    that tells all whose adapters refuse to be made, such as for a proxy that the environment names and they
    cannot use.
    """
    made: dict[str, Backend] = {}
    mistakes = Mistakes()
    for each in settings:
        same = (running or {}).get(each.name)
        if same is not None and same.is_of(each):
            made[each.name] = same
            continue
        try:
            made[each.name] = Backend(each)
        except ValueError as error:
            mistakes.add(ConfigError(f"{each.place}: backends.{each.name}: {error}"))
    mistakes.report()
    return made
