"""A gateway's processes beside backends that this process scripts, and what to ask them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from portico.testing.upstream import Request, Upstream
from portico.testing.wire import Script, answer
from tests.support.gateway import Gateway, serve


@asynccontextmanager
async def gateway(
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    config: Path | None = None,
    listen: str | None = "127.0.0.1:0",
) -> AsyncIterator[Gateway]:
    """Run a gateway in a folder; this loop goes on meanwhile, so that backends can answer."""
    running = serve(config, env=env, listen=listen, cwd=folder)
    started = await asyncio.to_thread(running.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@asynccontextmanager
async def curl(of: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with the base URL of the seeds' commands."""
    async with httpx.AsyncClient(base_url=f"http://{of.http}", timeout=20, trust_env=False) as client:
        yield client


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def openai_backend(says: str, *models: str) -> Callable[[Request], Script]:
    """Answer as a server of OpenAI's dialect that has these models."""
    message = {"role": "assistant", "content": says}
    whole = {"id": "c", "model": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    listed = {"object": "list", "data": [{"id": each, "object": "model"} for each in models]}

    def choose(request: Request) -> Script:
        return answer(json.dumps(listed if request.path.endswith("/models") else whole).encode())

    return choose


def ollama_backend(says: str) -> Callable[[Request], Script]:
    """Answer as an Ollama."""
    whole = {"model": "x", "message": {"role": "assistant", "content": says}, "done": True}
    tags = {"models": [{"name": "qwen2.5:3b"}]}

    def choose(request: Request) -> Script:
        return answer(json.dumps(tags if request.path == "/api/tags" else whole).encode())

    return choose


def asked(upstream: Upstream) -> list[Request]:
    """Return the requests for an answer, in order."""
    return [each for each in upstream.requests if each.method == "POST" and each.path != "/api/show"]
