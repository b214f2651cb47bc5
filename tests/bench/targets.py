"""What is measured: the upstream itself, nginx, the gateway's layouts of this tree and of another, peers."""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag, urlsplit

from tests.bench.meters import listeners, tree
from tests.support.gateway import core, facade, serve
from tests.support.processes import process

ROOT: Final = Path(__file__).parents[2]
CPUS: Final = os.cpu_count() or 1
#: The name of the row against which others are held.
DIRECT: Final = "direct"


@dataclass(frozen=True)
class Target:
    """Something that takes requests of OpenAI's API."""

    url: str
    model: str = "bench"
    #: Processes whose trees' CPU and memory count; none where it is not ours to know.
    roots: tuple[int, ...] = ()

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the processes that serve."""
        return tuple(each for root in self.roots for each in tree(root))


@dataclass(frozen=True)
class Layout:
    """A way to run a target; started afresh where a table is about starts and memory."""

    name: str
    start: Callable[[], AbstractContextManager[Target]]
    #: Of the gateway, so that a fresh one can be started beside those that run.
    ours: bool = False


@dataclass(frozen=True)
class Upstream:
    """The backend of all targets."""

    address: str
    roots: tuple[int, ...]


@contextlib.contextmanager
def upstream(port: int) -> Iterator[Upstream]:
    """Run the backend, on a port of the machine's choice where it is 0, as two processes that share it."""
    with ExitStack() as stack:
        pids = []
        for _ in range(2):
            started = stack.enter_context(process(sys.executable, "-m", "tests.bench.upstream", str(port)))
            port = int(started.wait_for(""))
            pids.append(started.popen.pid)
        yield Upstream(f"127.0.0.1:{port}", tuple(pids))


def layouts(backend: Upstream, folder: Path, peers: list[str], baseline: str | None) -> list[Layout]:
    """Return all there is to measure, the bare upstream first."""
    direct = Target(f"http://{backend.address}/v1")
    found = [Layout(DIRECT, lambda: contextlib.nullcontext(direct))]
    if shutil.which("nginx"):
        found.append(Layout("nginx", partial(_nginx, backend.address, folder)))
    config = _configured(backend.address, folder)
    found += _portico("Portico", config, {})
    if baseline:
        found += _portico(f"Portico at {baseline}", config, _tree_of(baseline, folder))
    return found + [
        Layout(name, partial(_peer, url)) for name, _, url in (each.partition("=") for each in peers)
    ]


def workers(backend: Upstream, folder: Path, number: int) -> Layout:
    """Return the gateway as so many workers."""
    return _workers("Portico", _configured(backend.address, folder), {}, number)


def _portico(name: str, config: Path, env: Mapping[str, str]) -> list[Layout]:
    return [
        _workers(name, config, env, CPUS),
        Layout(f"{name}, linked", partial(_halves, config, env, linked=True), ours=True),
        Layout(f"{name}, RPCs", partial(_halves, config, env, linked=False), ours=True),
    ]


def _workers(name: str, config: Path, env: Mapping[str, str], number: int) -> Layout:
    title = f"{name}, {number} worker{'s' * (number > 1)}"
    return Layout(title, partial(_serve, config, {**env, "WORKERS": str(number)}), ours=True)


@contextlib.contextmanager
def _serve(config: Path, env: Mapping[str, str]) -> Iterator[Target]:
    """Run the gateway as one command: workers that are both halves."""
    with serve(config, env={"LOG_LEVEL": "warning", **env}) as gateway:
        yield Target(gateway.url, roots=(gateway.process.popen.pid,))


@contextlib.contextmanager
def _halves(config: Path, env: Mapping[str, str], *, linked: bool) -> Iterator[Target]:
    """Run facade and core apart: by links, or by an RPC for each call."""
    quiet = {"LOG_LEVEL": "warning", **env}
    with tempfile.TemporaryDirectory(prefix="portico-bench-") as folder:
        listen = f"unix:{folder}/core.sock" if linked else "127.0.0.1:0"
        with (
            core(listen, config, env=quiet) as behind,
            facade(listen if linked else by_rpc(behind.address), config, env=quiet) as front,
        ):
            pids = (behind.process.popen.pid, front.process.popen.pid)
            yield Target(f"http://{front.address}/v1", roots=pids)


def by_rpc(address: str) -> str:
    """Return a target to which no links are kept: what a certain server of names is to be asked for.

    It is not, as an address needs no looking up.
    """
    return f"dns://127.0.0.1:53/{address}"


def _configured(backend: str, folder: Path) -> Path:
    """Write the gateway's configuration."""
    config = folder / "portico.yaml"
    config.write_text(
        f"backends:\n  mock: {{dialect: openai, url: http://{backend}/v1, models: [bench]}}\n"
        "models: {bench: mock/bench}\n"
    )
    return config


def _tree_of(commit: str, folder: Path) -> Mapping[str, str]:
    """Unpack another commit's packages; return the environment that runs them in place of this tree's."""
    wings = ("proto", "core", "adapters", "facade")
    command = ["git", "-C", str(ROOT), "archive", commit, *wings]
    packed = subprocess.run(command, check=False, capture_output=True)
    if packed.returncode:
        raise SystemExit(f"--baseline {commit}: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder / "baseline", filter="data")
    return {"PYTHONPATH": os.pathsep.join(str(folder / "baseline" / wing) for wing in wings)}


@contextlib.contextmanager
def _nginx(backend: str, folder: Path) -> Iterator[Target]:
    """Run nginx as a plain reverse proxy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes {CPUS};
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 10000000; client_max_body_size 64m; client_body_buffer_size 2m;
  upstream mock {{ server {backend}; keepalive 256; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}"""
    )
    with process("nginx", "-p", str(folder), "-c", str(config)) as started:
        target = Target(f"http://127.0.0.1:{port}/v1", roots=(started.popen.pid,))
        answering(target.url)
        yield target


@contextlib.contextmanager
def _peer(url: str) -> Iterator[Target]:
    """Find a gateway that runs. What follows ``#`` in its URL is the model to ask for."""
    plain, model = urldefrag(url)
    local = urlsplit(plain).hostname in ("127.0.0.1", "localhost", "::1")
    owners = listeners(urlsplit(plain).port or 80) if local else []
    # A tree is counted from its root alone.
    roots = [each for each in owners if not any(each in tree(other)[1:] for other in owners)]
    yield Target(plain, model or "bench", tuple(roots))


def answering(url: str, seconds: float = 30) -> None:
    """Wait until a server answers, whatever it says."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            continue
        return
    raise TimeoutError(f"{url} does not answer within {seconds} s")
