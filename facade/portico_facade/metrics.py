"""What the facade counts, in the terms of Prometheus: once per request, when it is over.

Every label takes its values from a set that no client can make grow. The metrics are listed in
docs/operations.md.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Info, ProcessCollector

import portico
from portico.errors import GatewayError
from portico.tallies import Spread, Tally
from portico_facade.request import METHODS

#: What nginx logs for a client that left before it was answered.
CLIENT_GONE: Final = 499

#: The route of a request that no endpoint got, and a method that HTTP does not know.
OTHER: Final = "other"

# Seconds. An answer may take from a probe's millisecond to the ten minutes that a call is given.
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST_BYTES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one facade, in a registry of their own."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self.registry: Final = CollectorRegistry()
        own = self.registry
        asked = ("route", "method", "status")
        self._requests = Tally(
            "portico_http_requests", "Requests that are over, by class of status.", asked, own
        )
        self._errors = Tally(
            "portico_http_errors",
            "Requests that ended with an error, in the midst of a stream too.",
            ("route", "error_class", "status"),
            own,
        )
        running = Gauge(
            "portico_http_requests_in_flight", "Requests under way, the scrape among them.", registry=own
        )
        running.set_function(in_flight)
        self._durations = Spread(
            "portico_http_request_duration_seconds",
            "From the headers of a request to the end of its answer.",
            asked,
            _DURATIONS,
            own,
        )
        self._first_bytes = Spread(
            "portico_http_time_to_first_byte_seconds",
            "From the headers of a request to the beginning of its answer.",
            ("route", "stream"),
            _FIRST_BYTES,
            own,
        )
        Info("portico_build", "The version that runs.", registry=own).info({"version": portico.__version__})
        ProcessCollector(registry=own)

    async def told(self) -> CollectorRegistry:
        """Return the registry."""
        return self.registry

    def ended(
        self,
        route: str,
        method: str | None,
        status: int,
        *,
        seconds: float,
        first_byte: float | None,
        streamed: bool,
        error: GatewayError | None,
    ) -> None:
        """Count a request. ``first_byte``: seconds; None: the client did not wait for it."""
        known = method if method in METHODS else OTHER
        asked = (route, known, f"{status // 100}xx")
        self._requests.counts[asked] += 1
        self._durations.observe(asked, seconds)
        if first_byte is not None:
            self._first_bytes.observe((route, "true" if streamed else "false"), first_byte)
        if status == CLIENT_GONE:
            self._errors.counts[(route, "client_gone", str(CLIENT_GONE))] += 1
        elif error is not None:
            self._errors.counts[(route, error.error_class.name.lower(), str(error.http_status))] += 1

    def refused(self, error: GatewayError) -> None:
        """Count what came over a connection and was no request."""
        self._requests.counts[(OTHER, OTHER, f"{error.http_status // 100}xx")] += 1
        self._errors.counts[(OTHER, error.error_class.name.lower(), str(error.http_status))] += 1
