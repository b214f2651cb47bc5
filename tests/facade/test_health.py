"""Probes: alive, ready, and how the backends are."""

import asyncio
import logging

import pytest

from portico.errors import unavailable
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import GetStatusResponse
from portico.v1.status_pb2 import BackendStatus, BreakerState, GatewayState
from tests.facade.clients import Facade

AWAY = unavailable("The gateway's routing core cannot be reached. Try again shortly.")


@pytest.fixture(autouse=True)
def status(gateway: FakeGateway) -> GetStatusResponse:
    """Two backends, one of which has been asked."""
    gateway.status = GetStatusResponse(
        state=GatewayState.GATEWAY_STATE_SERVING,
        version="1.2.3",
        uptime_seconds=61.26,
        models=["gpt-4", "local/qwen"],
        backends=[
            BackendStatus(
                name="local",
                dialect="openai",
                latency_ms=10.04,
                attempts=4,
                failures=1,
                in_flight=2,
                queued=3,
                breaker=BreakerState.BREAKER_STATE_HALF_OPEN,
            ),
            BackendStatus(
                name="far",
                dialect="dummy",
                latency_ms=20,
                attempts=1,
                breaker=BreakerState.BREAKER_STATE_CLOSED,
            ),
            BackendStatus(name="new", dialect="dummy"),
        ],
    )
    return gateway.status


async def test_health_tells_of_the_gateway_and_every_backend(portico: Facade) -> None:
    """Uptime in seconds; latencies in milliseconds, the gateway's weighted by how often each answered."""
    answer = await portico.ask("GET", "/health")
    assert answer.status == 200
    assert answer.json == {
        "status": "ok",
        "gateway": {
            "version": "1.2.3",
            "uptime": 61.26,
            "models": ["gpt-4", "local/qwen"],
            "latency_ms": 12.5,
            "backends": {
                "local": {
                    "status": "ok",
                    "dialect": "openai",
                    "latency_ms": 10.0,
                    "breaker": "half-open",
                    "in_flight": 2,
                    "queued": 3,
                    "attempts": 4,
                    "failures": 1,
                    "listing": "ok",
                },
                "far": {
                    "status": "ok",
                    "dialect": "dummy",
                    "latency_ms": 20.0,
                    "breaker": "closed",
                    "in_flight": 0,
                    "queued": 0,
                    "attempts": 1,
                    "failures": 0,
                    "listing": "ok",
                },
                "new": {
                    "status": "unused",
                    "dialect": "dummy",
                    "latency_ms": None,
                    "breaker": None,
                    "in_flight": 0,
                    "queued": 0,
                    "attempts": 0,
                    "failures": 0,
                    "listing": "ok",
                },
            },
        },
    }


async def test_a_failing_backend_degrades_the_gateway_and_its_words_stay_inside(
    portico: Facade, status: GetStatusResponse
) -> None:
    """Calls are still taken, so it is 200; the last error may name hosts."""
    status.backends[0].last_error = status.backends[1].listing_error = "10.0.0.7 refused"
    answer = await portico.ask("GET", "/health")
    assert answer.json["gateway"]["backends"]["far"]["listing"] == "failing"
    assert answer.status == 200
    assert answer.json["status"] == "degraded"
    assert answer.json["gateway"]["backends"]["local"]["status"] == "failing"
    assert b"10.0.0.7" not in answer.body
    assert (await portico.ask("GET", "/readyz")).status == 200


async def test_a_backend_that_calls_are_kept_away_from_degrades_the_gateway(
    portico: Facade, status: GetStatusResponse
) -> None:
    """Which of its models, and so whose, stays inside."""
    status.backends[1].breaker = BreakerState.BREAKER_STATE_OPEN
    status.backends[1].ailing.add(model="deployment-7", breaker=BreakerState.BREAKER_STATE_OPEN)
    answer = await portico.ask("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["gateway"]["backends"]["far"]["breaker"] == "open"
    assert b"deployment-7" not in answer.body


async def test_without_a_core_the_facade_lives_but_is_not_ready(
    portico: Facade, gateway: FakeGateway
) -> None:
    """Starting it again would not bring the core back."""
    gateway.on_read = [AWAY]
    assert (await portico.ask("GET", "/livez")).status == 200
    ready = await portico.ask("GET", "/readyz")
    assert ready.status == 503
    assert ready.json == {"status": "unready", "reason": str(AWAY)}
    health = await portico.ask("GET", "/health")
    assert health.status == 503
    assert health.json["status"] == "down"
    assert health.json["reason"] == str(AWAY)
    assert health.json["gateway"]["uptime"] is None
    assert health.json["gateway"]["backends"] == {}


async def test_a_core_that_does_not_answer_is_waited_for_for_a_second(
    portico: Facade, gateway: FakeGateway
) -> None:
    """A probe must say something before it is given up; its call is cancelled."""
    gateway.on_read = [asyncio.Event()]
    async with asyncio.timeout(3):
        answer = await portico.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.json["reason"] == "the routing core did not answer within 1 s"
    assert (await gateway.ended()).ended is not None


async def test_a_core_that_drains_is_not_ready(portico: Facade, status: GetStatusResponse) -> None:
    """It takes no new calls."""
    status.state = GatewayState.GATEWAY_STATE_DRAINING
    assert (await portico.ask("GET", "/readyz")).status == 503
    assert (await portico.ask("GET", "/health")).json["status"] == "down"


async def test_a_facade_that_drains_is_not_ready_but_lives(portico: Facade) -> None:
    """On connections that it still has; answers ask for another connection."""
    portico.app.facade.draining = True
    ready = await portico.ask("GET", "/readyz")
    assert ready.status == 503
    assert ready.json["reason"] == "this facade is shutting down"
    assert ready.headers["connection"] == "close"
    assert (await portico.ask("GET", "/livez")).status == 200
    portico.app.facade.draining = False


async def test_a_facade_that_drains_is_not_healthy(portico: Facade) -> None:
    """The three agree."""
    portico.app.facade.draining = True
    health = await portico.ask("GET", "/health")
    assert health.status == 503
    assert health.json["reason"] == "this facade is shutting down"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
async def test_probes_fill_no_log(portico: Facade, caplog: pytest.LogCaptureFixture, path: str) -> None:
    """They come every few seconds, for ever."""
    caplog.set_level(logging.INFO)
    await portico.ask("GET", path)
    assert not caplog.records
    caplog.set_level(logging.DEBUG, logger="portico.access")
    await portico.ask("GET", path)
    assert f"path={path} status=200" in caplog.text
