"""A core whose backends of OpenAI's dialect are reached over HTTP, what they answer, and ways to ask it."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import pytest

from portico.gateway import CallContext, Gateway
from portico.testing.wire import answer
from portico_core.candidates import Candidate, Route
from portico_core.config import Backend, Config, Grpc, Timeouts
from portico_core.routing import Routes
from tests.support.core import ask, ask_stream, contents

PATIENT = Timeouts(silence=3600, total=3600)


def event(data: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(data).encode()


def delta(finish_reason: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": members, "finish_reason": finish_reason}
    return event(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]}
    )


ROLE = delta(role="assistant", content="")
DONE = [delta("stop"), b"data: [DONE]\n\n"]
MESSAGE = {"role": "assistant", "content": "hello"}
WHOLE = answer(
    json.dumps(
        {"id": "c", "model": "x", "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}
    ).encode()
)


def over(urls: Sequence[str], timeouts: Timeouts = PATIENT) -> Config:
    """Return a configuration whose model ``m`` tries backends ``b0``, ``b1`` … in order."""
    adapters = pytest.importorskip("portico_adapters.openai")
    adapter = adapters.OpenAIAdapter
    backends = [
        Backend(
            name=f"b{number}",
            dialect="openai",
            adapter=adapter,
            settings=adapter.Settings(url=f"{url}/v1"),
            timeouts=timeouts,
            models=(),
            place="",
        )
        for number, url in enumerate(urls)
    ]
    route = Route("m", tuple(Candidate(backend.name, "x") for backend in backends))
    return Config(Grpc(), tuple(backends), Routes([route], [backend.name for backend in backends]))


async def whole(gateway: Gateway) -> str:
    """Ask unstreamed; return the answer's text."""
    return (await gateway.chat(ask(), CallContext("r"))).completion.choices[0].message.content


async def read(gateway: Gateway) -> str:
    """Ask streamed; return the answer's text."""
    async with contextlib.aclosing(gateway.stream(ask_stream(), CallContext("r"))) as responses:
        return contents([response async for response in responses])


Asking: TypeAlias = Callable[[Gateway], Awaitable[str]]
ASKING: dict[str, Asking] = {"unstreamed": whole, "streamed": read}
