"""What a running gateway tells of itself: to people, to supervisors, and over gRPC."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx

from portico.v1.gateway_pb2 import GetStatusRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico.v1.status_pb2 import GatewayState
from tests.support.gateway import core, facade, serve

HELLO: Any = [{"role": "user", "content": "hello"}]
CONFIG = """
backends:
  dummy: {dialect: dummy}
  idle: {dialect: dummy}
  dead: {dialect: openai, url: http://127.0.0.1:1/v1, models: [m]}
models: {gpt-4: [dead/m, dummy/echo-1]}
"""


def test_health_has_uptime_models_and_the_latency_of_each_backend(
    tmp_path: Path, layout: Mapping[str, str]
) -> None:
    file = tmp_path / "portico.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    with serve(file, env=layout) as gateway:
        fresh = httpx.get(f"http://{gateway.http}/health", trust_env=False).json()
        assert (fresh["status"], fresh["gateway"]["latency_ms"]) == ("ok", None)
        gateway.sdk().chat.completions.create(model="gpt-4", messages=HELLO)
        health = httpx.get(f"http://{gateway.http}/health", trust_env=False).json()
        with grpc.insecure_channel(gateway.grpc) as channel:
            status = GatewayServiceStub(channel).GetStatus(GetStatusRequest(), timeout=10)
    told = health["gateway"]
    # A backend failed, and the gateway serves all the same.
    assert health["status"] == "degraded"
    assert told["uptime"] > 0
    assert "gpt-4" in told["models"]
    assert told["latency_ms"] > 0
    assert {name: (each["status"], each["attempts"]) for name, each in told["backends"].items()} == {
        "dummy": ("ok", 1),
        "idle": ("unused", 0),
        "dead": ("failing", 1),
    }
    assert told["backends"]["dummy"]["latency_ms"] > 0
    assert told["backends"]["idle"]["latency_ms"] is None
    assert status.state == GatewayState.GATEWAY_STATE_SERVING
    assert {each.name: each.attempts for each in status.backends} == {"dummy": 1, "idle": 0, "dead": 1}


def test_a_facade_without_its_core_lives_but_is_not_ready(tmp_path: Path) -> None:
    with core(f"unix:{tmp_path}/core.sock") as back, facade(back.address) as front:

        def statuses() -> list[int]:
            paths = ("livez", "readyz", "health")
            return [
                httpx.get(f"http://{front.address}/{path}", trust_env=False).status_code for path in paths
            ]

        assert statuses() == [200, 200, 200]
        assert back.process.stop() == 0
        assert statuses() == [200, 503, 503]
