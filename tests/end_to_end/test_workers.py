"""``portico serve --workers``: several whole gateways behind one port."""

import json
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from grpc import insecure_channel
from prometheus_client.parser import text_string_to_metric_families

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.message_pb2 import ChatMessage
from tests.support.gateway import Gateway, serve
from tests.support.processes import portico

CONFIG = """
admin: 127.0.0.1:0
backends:
  dummy: {dialect: dummy}
  slow: {dialect: dummy, pace: 0.05}
"""


def asked(gateway: Gateway) -> str:
    """Ask over a connection of its own, which may be any worker's; return the answer's text."""
    body = {"model": "dummy/echo-1", "messages": [{"role": "user", "content": "hello"}]}
    with urlopen(Request(f"{gateway.url}/chat/completions", json.dumps(body).encode())) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def sums(address: str) -> dict[str, float]:
    """Return what GET /metrics tells: the sum of the samples of each name."""
    with urlopen(f"http://{address}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    told: dict[str, float] = defaultdict(float)
    for family in families:
        for sample in family.samples:
            told[sample.name] += sample.value
    return told


def workers(gateway: Gateway) -> list[int]:
    """Return the processes of the workers."""
    pid = gateway.process.popen.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_share_both_ports_and_one_set_of_metrics(tmp_path: Path) -> None:
    """Whoever answers the scrape tells of all."""
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config, env={"WORKERS": "3"}) as gateway:
        admin = gateway.process.output.split("metrics are at http://")[1].partition("/")[0]
        assert len(workers(gateway)) == 3
        assert {asked(gateway) for _ in range(20)} == {"hello"}
        request = ChatRequest(
            params=ChatCompletionParams(
                model="dummy/echo-1", messages=[ChatMessage(role="user", content="by gRPC")]
            )
        )
        with insecure_channel(gateway.grpc) as channel:
            answer = GatewayServiceStub(channel).Chat(request, timeout=10)
        assert answer.completion.choices[0].message.content == "by gRPC"
        for _ in range(5):
            assert sums(gateway.http)["portico_http_requests_total"] >= 20
        told = sums(admin)
        assert told["portico_calls_total"] == 21
        assert told["portico_build_info"] == 1


def test_a_worker_that_dies_comes_back_while_the_others_serve(tmp_path: Path) -> None:
    """And is known to the metrics again."""
    with serve(env={"WORKERS": "2"}, cwd=tmp_path) as gateway:
        assert {asked(gateway) for _ in range(10)} == {"hello"}
        before = sums(gateway.http)["portico_http_requests_total"]
        victim = workers(gateway)[0]
        os.kill(victim, signal.SIGKILL)
        gateway.process.wait_for("starting it again")
        assert {asked(gateway) for _ in range(10)} == {"hello"}
        end = time.monotonic() + 20
        while len(alive := workers(gateway)) < 2 or victim in alive:
            assert time.monotonic() < end, "the worker did not come back"
        assert asked(gateway) == "hello"
        assert sums(gateway.http)["portico_http_requests_total"] > before


def test_running_streams_finish_when_workers_are_told_to_stop(tmp_path: Path) -> None:
    """All of them drain, and the command exits with 0."""
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config, env={"WORKERS": "2"}) as gateway, gateway.sdk() as client:
        stream = client.chat.completions.create(
            model="slow/echo-1",
            messages=[{"role": "user", "content": "one two three four five"}],
            stream=True,
        )
        said = [next(stream).choices[0].delta.content]
        gateway.process.popen.send_signal(signal.SIGTERM)
        said += [chunk.choices[0].delta.content for chunk in stream]
        assert "".join(text or "" for text in said) == "one two three four five"
        assert gateway.process.popen.wait(20) == 0


@pytest.mark.parametrize("count", ["-1", "many", "1.5", "1000"])
def test_a_number_of_workers_that_is_none_is_refused(count: str, tmp_path: Path) -> None:
    with portico("serve", env={"WORKERS": count}, cwd=tmp_path) as process:
        assert process.wait_for("WORKERS").endswith(
            f"WORKERS={count} is no number of workers. Write 1 to 256, or 0: facade and core apart."
        )
        assert process.popen.wait(20) == 2


def test_a_port_that_somebody_has_is_not_shared_with_him(tmp_path: Path) -> None:
    """Not even with another gateway's workers."""
    with serve(env={"WORKERS": "1"}, cwd=tmp_path) as gateway:
        second = ("serve", "--workers", "1", "--listen", gateway.http, "--grpc", "127.0.0.1:0")
        with portico(*second, cwd=tmp_path) as process:
            assert "cannot listen on" in process.wait_for("cannot listen")
            assert process.popen.wait(20) == 2
