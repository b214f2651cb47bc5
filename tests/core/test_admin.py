"""The admin port."""

import asyncio
import contextlib

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from portico_core.admin import Metrics, admin


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("things", "Things.", registry=made).inc(3)
    return made


async def exchange(address: str, request: bytes) -> tuple[str, str]:
    """Send a request; return the head and the body of the answer, which ends with the connection."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return head, body


def told(registry: CollectorRegistry) -> Metrics:
    """Return what gives a registry."""

    async def give() -> CollectorRegistry:
        return registry

    return give


async def test_metrics_are_served_as_text(registry: CollectorRegistry) -> None:
    """In Prometheus' own format."""
    async with admin(told(registry), "127.0.0.1:0") as address:
        head, body = await exchange(str(address), b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    [family] = [each for each in plain_text(body) if each.name == "things"]
    assert family.samples[0].value == 3


async def test_a_scraper_may_ask_for_openmetrics(registry: CollectorRegistry) -> None:
    """With the header that Prometheus sends."""
    accept = b"accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n"
    async with admin(told(registry), "127.0.0.1:0") as address:
        head, body = await exchange(str(address), b"GET /metrics HTTP/1.1\r\n" + accept + b"\r\n")
    assert "application/openmetrics-text" in head
    families = list(open_metrics(body))  # type: ignore[no-untyped-call]
    assert [family.name for family in families] == ["things"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1", "404 Not Found"),
        (b"GET /metricsx HTTP/1.1", "404 Not Found"),
        (b"POST /metrics HTTP/1.1", "405 Method Not Allowed"),
        (b"\xff\xff", "404 Not Found"),
    ],
)
async def test_there_is_nothing_else(registry: CollectorRegistry, request_line: bytes, status: str) -> None:
    """It says so."""
    async with admin(told(registry), "127.0.0.1:0") as address:
        head, body = await exchange(str(address), request_line + b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}\r\n")
    assert body


async def test_headers_without_end_are_cut(registry: CollectorRegistry) -> None:
    """The connection closes without an answer."""
    async with admin(told(registry), "127.0.0.1:0") as address:
        # TCP resets a connection that is closed with unread data in it.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            assert await exchange(str(address), b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 40_000) == ("", "")


async def test_a_silent_connection_does_not_hold_the_end_up(registry: CollectorRegistry) -> None:
    """It is closed."""
    async with asyncio.timeout(5):
        async with admin(told(registry), "127.0.0.1:0") as address:
            host, _, port = str(address).rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            # Another connection's answer shows that the silent one has been accepted.
            await exchange(str(address), b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_taken_port_is_named(registry: CollectorRegistry) -> None:
    """In words that a user can act on."""
    async with admin(told(registry), "127.0.0.1:0") as address:
        with pytest.raises(OSError, match=f"cannot listen on {address}: "):
            async with admin(told(registry), address):
                pass


async def test_without_an_address_there_is_no_port(registry: CollectorRegistry) -> None:
    """Nothing is opened."""
    async with admin(told(registry), None) as address:
        assert address is None
