"""Another gateway's core behind TLS: dialled when its certificate is trusted, and not otherwise."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.gateway_pb2 import ChatRequest, ChatResponse
from portico.v1.gateway_pb2_grpc import GatewayServiceServicer, add_GatewayServiceServicer_to_server
from portico.v1.message_pb2 import ChatMessage
from tests.support.gateway import serve

HELLO: Any = [{"role": "user", "content": "tell me"}]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")


class Core(GatewayServiceServicer):
    """Tells the key that it is shown."""

    # ruff: noqa: N802 - the name is the contract's

    def Chat(self, request: ChatRequest, context: Any) -> Any:
        shown = dict(context.invocation_metadata())["authorization"]
        choice = ChatChoice(message=ChatMessage(role="assistant", content=shown), finish_reason="stop")
        return ChatResponse(completion=ChatCompletion(id="c", choices=[choice]))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for localhost, with its key beside it."""
    file = tmp_path / "core.crt"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(file.with_suffix(".key")), "-out", str(file))
    subprocess.run(("openssl", "req", "-x509", *curve, *name, *files), check=True, capture_output=True)
    return file


@pytest.fixture
def target(certificate: Path) -> Iterator[str]:
    """Serve a core behind TLS; yield where."""
    server = grpc.server(ThreadPoolExecutor(2))
    core = Core()  # type: ignore[abstract]
    add_GatewayServiceServicer_to_server(core, server)
    key = certificate.with_suffix(".key").read_bytes()
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate.read_bytes())])
    )
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


def test_a_core_behind_tls_is_asked_when_its_certificate_is_trusted(
    target: str, certificate: Path, tmp_path: Path
) -> None:
    """The key travels inside; without trust the backend fails."""
    config = tmp_path / "portico.yaml"
    members = f"{{dialect: portico, target: '{target}', tls: true, api_key: ours, models: [m]}}"
    config.write_text(f"backends: {{far: {members}}}\n", encoding="utf-8")
    with serve(config, env={"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}) as trusting:
        answer = trusting.sdk().chat.completions.create(model="m", messages=HELLO)
        assert answer.choices[0].message.content == "Bearer ours"
    with serve(config) as doubting, pytest.raises(openai.InternalServerError) as refused:
        doubting.sdk().chat.completions.create(model="m", messages=HELLO)
    assert refused.value.status_code == 502
