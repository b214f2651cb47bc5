"""What the facade counts, and how it shows it."""

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portico.errors import upstream_failed
from portico.testing.gateway import FakeGateway
from portico_facade.metrics import Metrics
from tests.facade.clients import Facade
from tests.facade.messages import ask, first

CHAT = "/v1/chat/completions"


async def scrape(portico: Facade, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name by the values of their labels, sorted by the labels' names."""
    answer = await portico.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        tuple(text for _, text in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == name
    }


async def test_an_answer_is_counted_by_route_method_and_status(portico: Facade) -> None:
    """A parameter of the path is no label, and neither is a query."""
    await portico.ask("POST", CHAT, ask())
    await portico.ask("GET", "/v1/models/one?x=1")
    await portico.ask("GET", "/v1/models/two")
    await portico.ask("OPTIONS", CHAT)
    assert await scrape(portico, "portico_http_requests_total") == {
        ("POST", CHAT, "2xx"): 1,
        ("GET", "/v1/models/{id}", "4xx"): 2,
        ("OPTIONS", CHAT, "2xx"): 1,
    }
    assert await scrape(portico, "portico_http_errors_total") == {("caller", "/v1/models/{id}", "404"): 2}


async def test_times_are_measured_whole_and_to_the_first_byte(portico: Facade) -> None:
    """Streams apart from other answers."""
    await portico.ask("POST", CHAT, ask())
    await portico.ask("POST", CHAT, ask(stream=True))
    durations = await scrape(portico, "portico_http_request_duration_seconds_count")
    assert durations[("POST", CHAT, "2xx")] == 2
    beginnings = await scrape(portico, "portico_http_time_to_first_byte_seconds_count")
    assert (beginnings[(CHAT, "false")], beginnings[(CHAT, "true")]) == (1, 1)


async def test_errors_are_counted_by_class_and_status(portico: Facade, gateway: FakeGateway) -> None:
    """One that ends a stream after its status has the status that it would have had."""
    gateway.on_chat = [upstream_failed("no")]
    gateway.on_stream = [first("Hel"), upstream_failed("no")]
    await portico.ask("POST", CHAT, ask())
    await portico.ask("POST", CHAT, b"{")
    await portico.ask("POST", CHAT, ask(stream=True))
    assert await scrape(portico, "portico_http_errors_total") == {
        ("upstream", CHAT, "502"): 2,
        ("caller", CHAT, "400"): 1,
    }
    requests = await scrape(portico, "portico_http_requests_total")
    assert requests[("POST", CHAT, "5xx")] == 1
    assert requests[("POST", CHAT, "2xx")] == 1


async def test_a_client_that_leaves_is_counted_and_waits_for_no_byte(
    portico: Facade, gateway: FakeGateway
) -> None:
    """It is neither the gateway's error nor the caller's."""
    gateway.on_chat = [asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask())
        await gateway.received()
        assert await scrape(portico, "portico_http_requests_in_flight") == {(): 2}
    await portico.app.facade.idle()
    assert await scrape(portico, "portico_http_errors_total") == {("client_gone", CHAT, "499"): 1}
    beginnings = await scrape(portico, "portico_http_time_to_first_byte_seconds_count")
    assert (CHAT, "false") not in beginnings
    assert await scrape(portico, "portico_http_requests_in_flight") == {(): 1}


async def test_what_clients_make_up_makes_no_series(portico: Facade) -> None:
    """Paths, methods and models."""
    for number in range(20):
        await portico.ask("GET", f"/made/up/{number}")
        await portico.ask(f"BREW{number}", CHAT)
        await portico.ask("POST", CHAT, json.dumps({**ask(), "model": f"m{number}"}).encode())
    assert await scrape(portico, "portico_http_requests_total") == {
        ("GET", "other", "4xx"): 20,
        ("other", CHAT, "4xx"): 20,
        ("POST", CHAT, "2xx"): 20,
    }


async def test_what_is_no_http_is_counted(portico: Facade) -> None:
    """Under no route."""
    async with portico.connect() as client:
        client.writer.write(b"HELO\r\n\r\n")
        await client.answer()
    assert await scrape(portico, "portico_http_requests_total") == {("other", "other", "4xx"): 1}
    assert await scrape(portico, "portico_http_errors_total") == {("caller", "other", "400"): 1}


async def test_a_scraper_may_ask_for_openmetrics(portico: Facade) -> None:
    """As Prometheus does."""
    answer = await portico.ask("GET", "/metrics", accept="application/openmetrics-text;version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


async def test_a_scraper_that_asks_for_no_version_of_it_gets_text(portico: Facade) -> None:
    """Rather than an error."""
    answer = await portico.ask("GET", "/metrics", accept="application/openmetrics-text;version=one")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("status", "counted"), [(200, "2xx"), (404, "4xx"), (529, "5xx")])
def test_statuses_are_counted_by_their_class(status: int, counted: str) -> None:
    """There are five of them."""
    metrics = Metrics(lambda: 0)
    metrics.ended("/x", "GET", status, seconds=1, first_byte=None, streamed=False, error=None)
    labels = {"route": "/x", "method": "GET", "status": counted}
    assert metrics.registry.get_sample_value("portico_http_requests_total", labels) == 1


def test_every_metric_is_documented() -> None:
    """By the name that it has in a query."""
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    registry = Metrics(lambda: 0).registry
    suffixes = {"counter": "_total", "info": "_info"}
    names = {metric.name + suffixes.get(metric.type, "") for metric in registry.collect()}
    assert [name for name in sorted(names) if name.startswith("portico_") and f"`{name}`" not in text] == []
    assert len(names) > 5
