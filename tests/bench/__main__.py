"""Measures targets in turn, several rounds, and prints one table of medians. See scripts/bench."""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.gateway import core, facade, serve
from tests.support.processes import process

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """Something that takes requests of OpenAI's API."""

    name: str
    url: str
    #: Processes whose trees' CPU time counts; none where it is not ours to know.
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Load:
    """One row of the benchmark."""

    name: str
    connections: int
    requests: int
    stream: bool
    #: Milliseconds between two tokens of the upstream.
    pace: int = 0


LOADS = (
    Load("requests, c=1", 1, 1500, False),
    Load("requests, c=32", 32, 3000, False),
    Load("requests, c=128", 128, 3000, False),
    Load("streams, c=1", 1, 40, True),
    Load("streams, c=64", 64, 512, True),
    Load("streams, c=256", 256, 768, True),
    Load("streams at 20 ms a token, c=256", 256, 512, True, pace=20),
)


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and all its descendants."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / _TICK + sum(cpu_seconds(int(child)) for child in children)


def measure(target: Target, load: Load) -> dict[str, float]:
    """Put one load on one target; return its figures."""
    before = sum(map(cpu_seconds, target.pids))
    kind = "stream" if load.stream else "whole"
    command = [sys.executable, "-m", "tests.bench.load", target.url, "bench"]
    arguments = [str(load.connections), str(load.requests), kind, str(load.pace)]
    report: Any = json.loads(
        subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=300).stdout
    )
    if report["failures"] or len(report["seconds"]) != load.requests:
        raise SystemExit(f"{target.name}: {report['failures']} failures at {load.name}")
    cpu = sum(map(cpu_seconds, target.pids)) - before
    figures = {
        "p50 ms": statistics.median(report["seconds"]) * 1e3,
        "p99 ms": statistics.quantiles(report["seconds"], n=100)[98] * 1e3,
        "requests/s": load.requests / report["elapsed"],
        "CPU us/request": cpu / load.requests * 1e6,
    }
    if load.stream:
        figures["first token ms"] = statistics.median(report["first_token"]) * 1e3
        figures["tokens/s"] = report["tokens"] / report["elapsed"]
        figures["CPU us/token"] = cpu / report["tokens"] * 1e6
    if load.pace:
        figures["lag p50 ms"] = statistics.median(report["lags"]) * 1e3
        figures["lag p99 ms"] = statistics.quantiles(report["lags"], n=100)[98] * 1e3
    return figures


@contextlib.contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[Target]:
    """Run nginx as a plain reverse proxy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 2;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000;
  upstream mock {{ server {upstream}; keepalive 256; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=1024;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}"""
    )
    with process("nginx", "-p", str(folder), "-c", str(config)) as started:
        while subprocess.run(
            ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/"], check=False
        ).returncode:
            pass
        yield Target("nginx", f"http://127.0.0.1:{port}/v1", (started.popen.pid,))


def configured(upstream: str, folder: Path) -> Path:
    """Write the gateway's configuration."""
    config = folder / "portico.yaml"
    config.write_text(
        "backends:\n"
        f"  mock: {{dialect: openai, url: http://{upstream}/v1, models: [bench], pass_headers: [x-pace]}}\n"
        "models: {bench: mock/bench}\n"
    )
    return config


@contextlib.contextmanager
def portico(name: str, config: Path, env: Mapping[str, str]) -> Iterator[Target]:
    """Run the gateway as one command: facade and core over a link, or workers that are both."""
    with serve(config, env={"LOG_LEVEL": "warning", **env}) as gateway:
        yield Target(name, gateway.url, (gateway.process.popen.pid,))


@contextlib.contextmanager
def halves(name: str, config: Path) -> Iterator[Target]:
    """Run facade and core apart, with an RPC for each call: so it is where a target may be several cores."""
    quiet = {"LOG_LEVEL": "warning"}
    with (
        core("127.0.0.1:0", config, env=quiet) as behind,
        facade(f"ipv4:{behind.address}", config, env=quiet) as front,
    ):
        pids = (behind.process.popen.pid, front.process.popen.pid)
        yield Target(name, f"http://{front.address}/v1", pids)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, help="interleaved rounds; medians are printed (default: 3)"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=URL", help="another gateway's /v1"
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portico-bench-")))
        mock = stack.enter_context(process(sys.executable, "-m", "tests.bench.upstream"))
        upstream = f"127.0.0.1:{mock.wait_for('').strip()}"
        targets = [Target("direct", f"http://{upstream}/v1")]
        if shutil.which("nginx"):
            targets.append(stack.enter_context(nginx(upstream, folder)))
        config = configured(upstream, folder)
        cpus = str(os.cpu_count())
        targets += [
            stack.enter_context(portico(f"Portico, {cpus} workers", config, {"WORKERS": cpus})),
            stack.enter_context(portico("Portico, facade and core, linked", config, {})),
            stack.enter_context(halves("Portico, facade and core, RPCs", config)),
        ]
        targets += [Target(name, url) for name, _, url in (peer.partition("=") for peer in options.peer)]
        for load in LOADS:
            _print(load, _rounds(targets, load, options.rounds))


def _rounds(targets: list[Target], load: Load, rounds: int) -> dict[str, dict[str, float]]:
    """Measure each target once a round, in turn, so that a drift of the machine meets all of them."""
    runs: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            runs[target.name].append(measure(target, load))
    return {
        name: {key: statistics.median(run[key] for run in each) for key in each[0]}
        for name, each in runs.items()
    }


def _print(load: Load, figures: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(figures.values())))
    print(f"\n| {load.name} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in figures.items():
        print(f"| {name} | " + " | ".join(f"{row[column]:,.2f}" for column in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
