"""Gateways as processes: whole, or core and facade apart."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import openai

from tests.support.processes import Process, portico

#: The layouts of ``portico serve``, by what WORKERS says.
LAYOUTS: Final[Mapping[str, Mapping[str, str]]] = {"workers": {"WORKERS": "2"}, "halves": {"WORKERS": "0"}}


@dataclass(frozen=True)
class Gateway:
    """A running ``portico serve``."""

    #: host:port of the HTTP facade.
    http: str
    #: host:port of the gRPC core.
    grpc: str
    process: Process
    #: Clients to be closed with the gateway: a socket that is left open fails whichever test comes next.
    clients: list[openai.OpenAI] = field(default_factory=list, compare=False)

    @property
    def url(self) -> str:
        """The base URL of OpenAI's API."""
        return f"http://{self.http}/v1"

    def sdk(self, api_key: str = "none") -> openai.OpenAI:
        """Return an official client that does not retry, so that tests see each answer."""
        client = openai.OpenAI(base_url=self.url, api_key=api_key, max_retries=0)
        self.clients.append(client)
        return client


@contextlib.contextmanager
def serve(
    config: Path | None = None,
    env: Mapping[str, str] | None = None,
    listen: str | None = "127.0.0.1:0",
    cwd: Path | None = None,
) -> Iterator[Gateway]:
    """Run ``portico serve`` while the block runs, on ports of the machine's choice unless told otherwise.

    It has one worker unless ``env`` tells otherwise: what is learnt of backends is then learnt once.
    """
    file = ["--config", str(config)] if config else []
    http_at = ["--listen", listen] if listen else []
    with portico(
        "serve", *file, *http_at, "--grpc", "127.0.0.1:0", env={"WORKERS": "1", **(env or {})}, cwd=cwd
    ) as process:
        http = process.wait_for("OpenAI API").split("http://")[1].removesuffix("/v1")
        grpc = process.wait_for("gRPC").split()[-1]
        gateway = Gateway(http, grpc, process)
        try:
            yield gateway
        finally:
            for client in gateway.clients:
                client.close()


@dataclass(frozen=True)
class Part:
    """A running ``portico core`` or ``portico facade``."""

    address: str
    process: Process


@contextlib.contextmanager
def core(listen: str, config: Path | None = None, env: Mapping[str, str] | None = None) -> Iterator[Part]:
    """Run ``portico core`` while the block runs."""
    file = ["--config", str(config)] if config else []
    with portico("core", *file, "--listen", listen, env=env) as process:
        yield Part(process.wait_for("core is ready on").split()[-1], process)


@contextlib.contextmanager
def facade(
    core_target: str, config: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Part]:
    """Run ``portico facade`` while the block runs."""
    file = ["--config", str(config)] if config else []
    listen = ("--listen", "127.0.0.1:0", "--core", core_target)
    with portico("facade", *file, *listen, env=env) as process:
        yield Part(process.wait_for("facade is ready on").split()[-1], process)
