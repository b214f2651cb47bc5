"""Gateways that lead to themselves over HTTP: no call goes round for ever, and no list of models grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from portico.testing.watch import PATIENCE
from portico_core import config
from portico_facade.app import make_app
from portico_facade.config import Settings
from portico_facade.listen import listening
from portico_facade.server import make_server
from tests.support.core import direct

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def in_a_circle(**members: object) -> AsyncIterator[httpx.AsyncClient]:
    """Run a gateway with a backend ``round``, which is itself, and ``echo``; yield a client."""
    with listening("127.0.0.1:0") as (sockets, address):
        around = {"dialect": "openai", "url": f"http://{address}/v1", **members}
        written = {
            "backends": {"round": around, "echo": {"dialect": "dummy"}},
            "models": {"gpt-4": ["round/gpt-4", "echo/echo-1"]},
        }
        async with direct(config.load(written, {})) as gateway:
            server = make_server(make_app(gateway, Settings()))
            server.add_sockets(sockets)
            async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
                yield client
            server.stop()
            await server.close_all_connections()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_in_a_circle_is_refused(stream: bool) -> None:
    """After few turns, in the words of the gateway that noticed; nobody tries the next candidate."""
    async with asyncio.timeout(PATIENCE), in_a_circle() as client:
        answered = await client.post(
            "/v1/chat/completions", json={**CHAT, "model": "gpt-4", "stream": stream}
        )
    error = answered.json()["error"]
    assert (answered.status_code, error["code"], error["param"]) == (400, "gateway_loop", "model")
    assert "came through 5 gateways" in error["message"]


async def test_few_turns_are_served() -> None:
    """A way over several gateways is no circle."""
    async with asyncio.timeout(PATIENCE), in_a_circle() as client:
        body = {**CHAT, "model": "round/round/echo/echo-1"}
        answered = (await client.post("/v1/chat/completions", json=body)).json()
    assert answered["choices"][0]["message"]["content"] == "hi"


@pytest.mark.parametrize("members", [{}, {"credentials": "caller"}], ids=["kept", "by caller"])
async def test_the_list_of_models_in_a_circle_is_bounded(
    members: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the gateway asks itself, names grow to the limit of hops and no further."""
    for pause in ("_FRESH", "_RETRY"):
        monkeypatch.setattr(f"portico_core.catalog.{pause}", 0.0)
    longest = "round/" * 4 + "echo/echo-1"
    async with asyncio.timeout(PATIENCE), in_a_circle(**members) as client:
        while longest not in (listed := await _names(client)):
            pass
        for _ in range(8):
            listed = await _names(client)
            assert max(name.count("round/") for name in listed) == 4


async def _names(client: httpx.AsyncClient) -> set[str]:
    return {model["id"] for model in (await client.get("/v1/models")).json()["data"]}
