"""A gateway of workers and one of two halves give the same bytes, and keep the same limits."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import Request, urlopen

import pytest

from tests.support.gateway import LAYOUTS, Gateway, serve

CONFIG = """
backends:
  dummy: {dialect: dummy}
  dead: {dialect: openai, url: http://127.0.0.1:1/v1, models: [m]}
models: {gpt-4: [dead/m, dummy/echo-1], gone: dead/m}
http: {body_limit: 100KB}
keys: [secret-1]
"""
HELLO: Any = [{"role": "user", "content": "hello, wörld"}]
TOOLS: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
KEY = "Authorization: Bearer secret-1\r\n"

#: What differs from one call to the next: ids, times, and how long things took.
VARYING = re.compile(
    rb"(req_|chatcmpl-|cmpl-)[0-9a-f]+|(?<=\"created\":)\d+|(?<=\nDate: )[^\r]+"
    rb"|(?<=\nOpenai-Processing-Ms: )\d+|(?<=\nEtag: )[^\r]+"
)


def chat(model: str, **members: Any) -> bytes:
    return json.dumps({"model": model, "messages": HELLO, **members}).encode()


#: Name: method and target, headers, body.
REQUESTS: dict[str, tuple[str, str, bytes]] = {
    "chat": ("POST /v1/chat/completions", KEY, chat("dummy/echo-1")),
    "stream": ("POST /v1/chat/completions", KEY, chat("dummy/story-1", stream=True)),
    "usage": (
        "POST /v1/chat/completions",
        KEY,
        chat("dummy/echo-1", stream=True, stream_options={"include_usage": True}),
    ),
    "tools": ("POST /v1/chat/completions", KEY, chat("dummy/echo-1", tools=TOOLS, n=2)),
    "fallback": ("POST /v1/chat/completions", KEY, chat("gpt-4")),
    "no backend": ("POST /v1/chat/completions", KEY, chat("gone")),
    "no backend, streamed": ("POST /v1/chat/completions", KEY, chat("gone", stream=True)),
    "unknown model": ("POST /v1/chat/completions", KEY, chat("nobody")),
    "wrong type": ("POST /v1/chat/completions", KEY, chat("dummy/echo-1", temperature="hot")),
    "no JSON": ("POST /v1/chat/completions", KEY, b"{"),
    "too large": ("POST /v1/chat/completions", KEY, b" " * 200_000),
    "no key": ("POST /v1/chat/completions", "", chat("dummy/echo-1")),
    "wrong key": ("POST /v1/chat/completions", "Authorization: Bearer x\r\n", chat("dummy/echo-1")),
    "deadline": ("POST /v1/chat/completions", f"{KEY}x-request-timeout: 0\r\n", chat("dummy/echo-1")),
    "text": ("POST /v1/completions", KEY, b'{"model": "dummy/echo-1", "prompt": "hello"}'),
    "text, streamed": (
        "POST /v1/completions",
        KEY,
        b'{"model": "dummy/echo-1", "prompt": "hello", "stream": true}',
    ),
    "embeddings": ("POST /v1/embeddings", KEY, b'{"model": "dummy/echo-1", "input": "hello"}'),
    "models": ("GET /v1/models", KEY, b""),
    "model": ("GET /v1/models/dummy/echo-1", KEY, b""),
    "no model": ("GET /v1/models/nobody", KEY, b""),
    "preflight": ("OPTIONS /v1/chat/completions", "Origin: https://page\r\n", b""),
    "wrong method": ("GET /v1/chat/completions", KEY, b""),
    "unknown path": ("GET /v2", KEY, b""),
    "ready": ("GET /readyz", "", b""),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    """A gateway in each layout."""
    config = tmp_path_factory.mktemp("layouts") / "portico.yaml"
    config.write_text(CONFIG)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(serve(config, env=env)) for env in LAYOUTS.values()]


def answer(gateway: Gateway, request: tuple[str, str, bytes]) -> bytes:
    """Return every byte that comes, less what differs from call to call."""
    start, headers, body = request
    host, port = gateway.http.split(":")
    headers += f"Content-Length: {len(body)}\r\n"
    head = f"{start} HTTP/1.1\r\nHost: portico\r\nConnection: close\r\n{headers}\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(head.encode() + body)
        told = b"".join(iter(lambda: sock.recv(65536), b""))
    first, _, rest = told.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in first:
        # How much of a stream comes at once is chance.
        rest = re.sub(rb"(^|\r\n)[0-9a-f]+\r\n", b"", rest, flags=re.IGNORECASE)
    return VARYING.sub(b"...", first + b"\n" + rest)


@pytest.mark.parametrize("name", REQUESTS)
def test_both_layouts_give_the_same_bytes(name: str, both: list[Gateway]) -> None:
    one, other = (answer(gateway, REQUESTS[name]) for gateway in both)
    assert one.startswith(b"HTTP/1.1 ")
    assert one == other


class Slow(BaseHTTPRequestHandler):
    """A backend that notes how many requests it has at a time."""

    lock: ClassVar = threading.Lock()
    now: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with Slow.lock:
            Slow.now += 1
            Slow.most = max(Slow.most, Slow.now)
        # Long enough for others to come in, were they let.
        time.sleep(0.03)
        with Slow.lock:
            Slow.now -= 1
        message = {"role": "assistant", "content": "done"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def test_a_limit_holds_for_all_workers_together(tmp_path: Path) -> None:
    """Though each call is a connection of its own, and may be any worker's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as backend:
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        config = tmp_path / "portico.yaml"
        config.write_text(
            f"backends: {{slow: {{dialect: openai, url: 'http://127.0.0.1:{backend.server_port}/v1',"
            " models: [m], limit: 2, queue: 100}}\n"
        )
        with serve(config, env={"WORKERS": "3"}) as gateway:

            def ask(_: int) -> str:
                with urlopen(Request(f"{gateway.url}/chat/completions", chat("slow/m")), timeout=30) as told:
                    return str(json.load(told)["choices"][0]["message"]["content"])

            with ThreadPoolExecutor(24) as callers:
                assert set(callers.map(ask, range(72))) == {"done"}
        backend.shutdown()
    assert Slow.most == 2
