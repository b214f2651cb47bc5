"""What a scraper reads from a running gateway, on both ports, after calls of every outcome."""

import contextlib
import http.client
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Gateway, serve

CONFIG = """
admin: 127.0.0.1:0
backends:
  dummy: {dialect: dummy}
  slow: {dialect: dummy, pace: 5}
  gone: {dialect: openai, url: "http://127.0.0.1:{port}/v1", models: [m]}
models:
  gpt-4: [gone/m, dummy/echo-1]
  lost: gone/m
"""

Samples = dict[tuple[str, ...], float]


class Scraped:
    """One scrape: samples by name, and then by the values of their labels, sorted by the labels' names."""

    def __init__(self, address: str) -> None:
        with urlopen(f"http://{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.samples: dict[str, Samples] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                self.samples.setdefault(sample.name, {})[labels] = sample.value

    def __getitem__(self, name: str) -> Samples:
        return {labels: value for labels, value in self.samples.get(name, {}).items() if value}


@pytest.fixture
def gateway(tmp_path: Path, layout: Mapping[str, str]) -> Iterator[Gateway]:
    """A gateway with a backend that answers, one that is slow and one that is away."""
    with socket.socket() as taken:
        # Bound but not listening: every connection is refused, and nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        file = tmp_path / "portico.yaml"
        file.write_text(CONFIG.replace("{port}", str(taken.getsockname()[1])), encoding="utf-8")
        with serve(file, env=layout, cwd=tmp_path) as running:
            yield running


def say(gateway: Gateway, model: str, text: str = "one two") -> None:
    """Make a call, whatever becomes of it."""
    with contextlib.suppress(openai.APIStatusError):
        gateway.sdk().chat.completions.create(model=model, messages=[{"role": "user", "content": text}])


def leave(gateway: Gateway) -> None:
    """Begin to read a slow stream, and go away."""
    stream = gateway.sdk().chat.completions.create(
        model="slow/story-1", messages=[{"role": "user", "content": "go"}], stream=True
    )
    next(iter(stream))
    stream.close()
    # Both halves notice, in either order.
    while not all(word in gateway.process.output for word in ("outcome=cancelled", "status=499")):
        gateway.process.wait_for("")


def test_calls_of_every_outcome_are_counted_on_both_ports(gateway: Gateway) -> None:
    """Exactly, and under labels that callers cannot make up."""
    admin = gateway_admin(gateway)
    say(gateway, "dummy/echo-1")
    say(gateway, "gpt-4")
    say(gateway, "lost")
    for number in range(5):
        say(gateway, f'made"up\\{number}')
    list(
        gateway.sdk().chat.completions.create(
            model="dummy/echo-1", messages=[{"role": "user", "content": "a b c"}], stream=True
        )
    )
    leave(gateway)
    core, facade = Scraped(admin), Scraped(gateway.http)

    assert core["portico_calls_total"] == {
        ("dummy", "dummy/echo-1", "ok", "Chat"): 1,
        ("dummy", "gpt-4", "ok", "Chat"): 1,
        ("gone", "lost", "error", "Chat"): 1,
        ("", "other", "error", "Chat"): 5,
        ("dummy", "dummy/echo-1", "ok", "Stream"): 1,
        ("slow", "slow/story-1", "cancelled", "Stream"): 1,
    }
    assert core["portico_call_errors_total"] == {
        ("gone", "upstream", "lost", "Chat"): 1,
        ("", "caller", "other", "Chat"): 5,
    }
    assert core["portico_attempts_total"] == {
        ("dummy", "ok"): 3,
        ("gone", "upstream"): 2,
        ("slow", "cancelled"): 1,
    }
    assert core["portico_time_to_first_content_seconds_count"] == {
        ("dummy", "dummy/echo-1"): 1,
        ("slow", "slow/story-1"): 1,
    }
    assert core["portico_tokens_total"][("dummy", "gpt-4", "backend", "output")] > 0
    assert core["portico_calls_in_flight"] == core["portico_attempts_in_flight"] == {}
    assert sum(core["portico_call_duration_seconds_count"].values()) == 10
    assert len(core["portico_build_info"]) == len(facade["portico_build_info"]) == 1

    chat = "/v1/chat/completions"
    assert facade["portico_http_requests_total"] == {
        ("POST", chat, "2xx"): 3,
        ("POST", chat, "4xx"): 6,
        ("POST", chat, "5xx"): 1,
    }
    assert facade["portico_http_errors_total"] == {
        ("upstream", chat, "502"): 1,
        ("caller", chat, "404"): 5,
        ("client_gone", chat, "499"): 1,
    }
    assert facade["portico_http_requests_in_flight"] == {(): 1}
    assert facade["portico_http_time_to_first_byte_seconds_count"] == {(chat, "false"): 8, (chat, "true"): 2}
    assert not [name for each in (core, facade) for name in each.samples if name.endswith("_created")]


def gateway_admin(gateway: Gateway) -> str:
    """Return where the core shows its metrics; told in its log before the gateway is ready."""
    [line] = [line for line in gateway.process.lines if "metrics are at" in line]
    return line.split("http://")[1].removesuffix("/metrics")


def test_the_admin_port_is_shut_unless_it_is_asked_for(default_gateway: Gateway) -> None:
    """And metrics do not come over gRPC's port."""
    assert "metrics are at" not in default_gateway.process.output
    with pytest.raises((http.client.HTTPException, OSError)):
        urlopen(f"http://{default_gateway.grpc}/metrics", timeout=10)
