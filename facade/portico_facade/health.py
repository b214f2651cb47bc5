"""GET /livez, /readyz and /health: for supervisors, for load balancers, and for people."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from portico import __version__
from portico.errors import GatewayError
from portico.v1.gateway_pb2 import GetStatusRequest, GetStatusResponse
from portico.v1.status_pb2 import BackendStatus, GatewayState
from portico_facade.breakers import breaker_in_words
from portico_facade.handler import Handler

#: Seconds that a core may take to say how it is.
_PATIENCE: Final = 1.0


class Probe(Handler):
    """What the three have in common: they answer fast, to anybody, and fill no log."""

    methods = ("GET", "HEAD")
    access_level = logging.DEBUG

    async def core_status(self) -> GetStatusResponse | str:
        """Ask the core how it is; return in words why it does not say."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self.facade.gateway.get_status(GetStatusRequest(), self.context())
        except TimeoutError:
            return f"the routing core did not answer within {_PATIENCE:g} s"
        except GatewayError as error:
            return str(error)

    def why_not(self, status: GetStatusResponse | str) -> str | None:
        """Return why requests should go elsewhere. None: they need not."""
        if self.facade.draining:
            return "this facade is shutting down"
        if isinstance(status, str):
            return status
        serving = status.state == GatewayState.GATEWAY_STATE_SERVING
        return None if serving else "the routing core is shutting down"

    def answer(self, ok: bool, body: Mapping[str, Any]) -> None:
        """Answer 200 or 503."""
        self.status = 200 if ok else 503
        self.finish(msgspec.json.encode(body))


class Livez(Probe):
    """Whether the process runs: starting it again would not mend a core that is away."""

    route = "/livez"

    async def get(self) -> None:
        """Answer 200, always."""
        self.answer(True, {"status": "ok"})

    head = get


class Readyz(Probe):
    """Whether requests should be sent here."""

    route = "/readyz"

    async def get(self) -> None:
        """Answer 200 while this facade and its core take calls, else 503 with the reason."""
        reason = self.why_not(await self.core_status())
        self.answer(
            reason is None, {"status": "ok"} if reason is None else {"status": "unready", "reason": reason}
        )

    head = get


class Health(Probe):
    """How the gateway and its backends are doing."""

    route = "/health"

    async def get(self) -> None:
        """Answer 200 while calls are taken, even if backends fail, else 503."""
        status = await self.core_status()
        reason = self.why_not(status)
        self.answer(reason is None, report(status, reason))

    head = get


def report(status: GetStatusResponse | str, reason: str | None) -> dict[str, Any]:
    """Return the body of /health. ``uptime`` is in seconds, and is the core's."""
    known = GetStatusResponse(version=__version__) if isinstance(status, str) else status
    backends = {backend.name: _backend(backend) for backend in known.backends}
    degraded = any(
        backend["status"] == "failing" or backend["breaker"] == "open" for backend in backends.values()
    )
    return {
        "status": "down" if reason is not None else "degraded" if degraded else "ok",
        **({} if reason is None else {"reason": reason}),
        "gateway": {
            "version": known.version,
            "uptime": None if isinstance(status, str) else round(known.uptime_seconds, 3),
            "models": list(known.models),
            "latency_ms": _latency(known.backends),
            "backends": backends,
        },
    }


def _backend(status: BackendStatus) -> dict[str, Any]:
    # Its errors stay out: they may name hosts, and anybody may ask here.
    return {
        "status": "failing" if status.last_error else "ok" if status.attempts else "unused",
        "dialect": status.dialect,
        "latency_ms": round(status.latency_ms, 1) if status.HasField("latency_ms") else None,
        "breaker": breaker_in_words(status.breaker),
        "in_flight": status.in_flight,
        "queued": status.queued,
        "attempts": status.attempts,
        "failures": status.failures,
        "listing": "failing" if status.listing_error else "ok",
    }


def _latency(backends: Iterable[BackendStatus]) -> float | None:
    """Return the mean of the backends' latencies, each counted as often as it answered."""
    answered = [
        (each.latency_ms, each.attempts - each.failures) for each in backends if each.HasField("latency_ms")
    ]
    total = sum(count for _, count in answered)
    return round(sum(latency * count for latency, count in answered) / total, 1) if total else None
