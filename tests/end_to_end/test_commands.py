"""The commands that talk to a running gateway."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, serve
from tests.support.processes import portico


def run(*arguments: str, status: int = 0, **env: str) -> str:
    """Run a command to its end; return what it said."""
    with portico(*arguments, env=env) as process:
        assert process.popen.wait(20) == status, process.output
    assert "Traceback" not in process.output
    return process.output


def test_models_are_listed_with_their_owners(default_gateway: Gateway) -> None:
    """As a table."""
    rows = [line.split() for line in run("models", "--grpc", default_gateway.grpc).splitlines()]
    assert rows == [["MODEL", "OWNER"], ["dummy/echo-1", "dummy"], ["dummy/story-1", "dummy"]]


def test_status_tells_how_backends_are_doing(default_gateway: Gateway) -> None:
    """With a row per backend."""
    run("chat", "hello", "--grpc", default_gateway.grpc)
    said = run("status", "--grpc", default_gateway.grpc)
    assert "is serving" in said
    [row] = [line.split() for line in said.splitlines() if line.startswith("dummy")]
    assert row[:4] == ["dummy", "dummy", "ok", "closed"]


@pytest.mark.parametrize("command", ["models", "status"])
def test_nobody_there_is_told_with_status_1(command: str) -> None:
    """And where was asked."""
    assert "127.0.0.1:1" in run(command, "--grpc", "127.0.0.1:1", status=1)


def test_a_reload_needs_a_key_and_a_core_that_takes_it(default_gateway: Gateway) -> None:
    """Each refusal says what to do."""
    assert "Give --admin-key, or set PORTICO_ADMIN_KEY." in run("reload", status=2)
    asked = ("reload", "--admin-key", "k", "--grpc")
    assert "127.0.0.1:1" in run(*asked, "127.0.0.1:1", status=1)
    assert "has no `admin_keys`. Add some, or send it SIGHUP." in run(*asked, default_gateway.grpc, status=1)


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
def test_chat_speaks_http(default_gateway: Gateway, suffix: str) -> None:
    """To the first model that is listed, unless one is named."""
    url = f"http://{default_gateway.http}{suffix}"
    assert run("chat", "hello  http", "--http", url) == "hello  http"
    assert run("chat", "hi", "--model", "dummy/echo-1", "--system", "x", "--http", url) == "hi"


def test_an_error_over_http_is_told_with_status_1(default_gateway: Gateway) -> None:
    """In the words of the gateway."""
    url = f"http://{default_gateway.http}"
    assert "`nobody`" in run("chat", "hi", "--model", "nobody", "--http", url, status=1)
    assert "127.0.0.1:1" in run("chat", "hi", "--http", "http://127.0.0.1:1", status=1)
    assert "--http" in run("chat", "hi", "--http", "localhost:8000", status=2)


def test_a_key_is_shown_either_way(tmp_path: Path) -> None:
    """By option or by environment."""
    with serve(env={"API_KEYS": "secret-1"}, cwd=tmp_path) as gateway:
        grpc, url = ("--grpc", gateway.grpc), ("--http", f"http://{gateway.http}")
        run("models", *grpc, status=1)
        assert "dummy/echo-1" in run("models", *grpc, "--api-key", "secret-1")
        assert run("chat", "hi", *url, PORTICO_API_KEY="secret-1") == "hi"
        assert run("chat", "hi", *grpc, PORTICO_API_KEY="secret-1") == "hi"


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Answer every request the same; give the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b'data: {"choices":[{"delta":{"content":"cut"}}]}\n\n', "broke off"),
        (b': ping\n\ndata: {"error":{"message":"no more"}}\n\n', "no more"),
        (b"data: {\n\n", "does not answer as OpenAI's API does"),
    ],
)
def test_an_answer_over_http_that_is_not_whole_is_a_failure(stream: bytes, told: str) -> None:
    """However much of it has come."""
    with server(stream) as url:
        assert told in run("chat", "hi", "--model", "m", "--http", url, status=1)
