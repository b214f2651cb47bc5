"""A gateway inside an asyncio program: it serves, drains, and leaves nothing behind."""

import asyncio
import gc
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from portico.client import AsyncClient
from portico.testing.upstream import Upstream
from portico.testing.wire import LAST_CHUNK, chunk, head
from portico_facade.embedded import ConfigError, EmbeddedGateway
from tests.support.processes import OURS

HERE = "127.0.0.1:0"
DUMMY = {"backends": {"dummy": {"dialect": "dummy"}}, "models": {"gpt-4": "dummy/echo-1"}}
HELLO: Any = [{"role": "user", "content": "Hello, world!"}]
PATIENCE = 20


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Whatever a test does, its gateways leave no task and no socket behind."""
    before = _held()
    yield
    # gRPC keeps its pair of wake-up sockets while an error's traceback knows of the server.
    gc.collect()
    assert _held() - before == set()


def _held() -> set[Any]:
    return {*(asyncio.all_tasks() - {asyncio.current_task()}), *_sockets()}


def _sockets() -> Iterator[str]:
    for file in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(file)
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            yield target


@asynccontextmanager
async def sdk(gateway: EmbeddedGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """Yield an official client, as a program would make one."""
    async with openai.AsyncOpenAI(
        base_url=gateway.url, api_key="none", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


async def _echo(client: openai.AsyncOpenAI, model: str = "gpt-4") -> str | None:
    answer = await client.chat.completions.create(model=model, messages=HELLO)
    assert answer.model == model
    return answer.choices[0].message.content


async def test_the_sdk_chats_and_streams_in_the_same_program() -> None:
    async with EmbeddedGateway(DUMMY, http=HERE) as gateway, sdk(gateway) as client:
        assert await _echo(client) == "Hello, world!"
        stream = await client.chat.completions.create(model="gpt-4", messages=HELLO, stream=True)
        chunks = [each async for each in stream]
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hello, world!"
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert "gpt-4" in [each.id async for each in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            await _echo(client, "nobody/knows")


async def test_signals_stay_the_programs_own() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    async with EmbeddedGateway(DUMMY, http=HERE, grpc=HERE):
        assert [signal.getsignal(number) for number in numbers] == before
    assert [signal.getsignal(number) for number in numbers] == before


async def test_it_starts_and_stops_by_hand_again_and_again() -> None:
    gateway = EmbeddedGateway(DUMMY, http=HERE)
    await gateway.stop()
    for _ in range(2):
        await gateway.start()
        with pytest.raises(RuntimeError, match="runs already"):
            await gateway.start()
        async with sdk(gateway) as client:
            assert await _echo(client) == "Hello, world!"
        url = gateway.url
        await gateway.stop()
        await gateway.stop()
        with pytest.raises(RuntimeError, match="does not run"):
            assert gateway.url
        async with httpx.AsyncClient() as client_of_nobody:
            with pytest.raises(httpx.ConnectError):
                await client_of_nobody.get(url)


async def test_a_file_a_mapping_and_the_environment_configure_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "portico.yaml"
    file.write_text(json.dumps({**DUMMY, "http": HERE}), encoding="utf-8")
    for config in (file, str(file), {**DUMMY, "http": HERE}):
        async with EmbeddedGateway(config) as gateway, sdk(gateway) as client:
            assert await _echo(client) == "Hello, world!"
    async with EmbeddedGateway(http=HERE) as gateway, sdk(gateway) as client:
        assert await _echo(client, "dummy/echo-1") == "Hello, world!"
    monkeypatch.setenv("HOST", "127.0.0.1")
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("ALLOWED_MODELS", "dummy/story-1")
    async with EmbeddedGateway() as gateway, sdk(gateway) as client:
        assert [each.id async for each in client.models.list()] == ["dummy/story-1"]


async def test_the_mistakes_of_both_halves_are_told_and_nothing_is_opened() -> None:
    gateway = EmbeddedGateway({"http": {"pnig": "5s"}, "backends": {"up": {"dialect": "dumy"}}})
    with pytest.raises(ConfigError) as told:
        await gateway.start()
    assert str(told.value).splitlines() == [
        "the configuration: http.pnig: is not known. Did you mean ping?",
        "the configuration: backends.up.dialect: no adapter speaks dumy. Did you mean dummy?",
    ]


@pytest.mark.parametrize("name", ["http", "grpc"])
def test_an_address_that_is_none_is_told_at_once(name: str) -> None:
    options: Any = {name: "8000"}
    with pytest.raises(ValueError, match=f"^{name}='8000' is no address"):
        EmbeddedGateway(DUMMY, **options)


async def test_every_address_of_the_machine_has_a_url_to_dial() -> None:
    async with EmbeddedGateway(DUMMY, http=":0") as gateway, sdk(gateway) as client:
        assert gateway.url.startswith("http://localhost:")
        assert await _echo(client) == "Hello, world!"


async def test_internal_services_reach_it_over_grpc() -> None:
    async with EmbeddedGateway(DUMMY, http=HERE, grpc=HERE) as gateway, sdk(gateway) as client:
        assert gateway.grpc is not None
        async with AsyncClient(gateway.grpc, timeout=PATIENCE) as service:
            assert (await service.chat("gpt-4", "hi")).text == "hi"
            async with service.stream("gpt-4", "hello there") as stream:
                assert [piece async for piece in stream.text()]
        assert await _echo(client) == "Hello, world!"


async def test_it_calls_itself_over_no_socket(tmp_path: Path) -> None:
    """One socket listens, and a request adds the two ends of the client's connection."""
    before = set(_sockets())
    async with EmbeddedGateway(DUMMY, http=f"unix:{tmp_path}/http.sock") as gateway:
        assert gateway.grpc is None
        assert len(set(_sockets()) - before) == 1
        transport = httpx.AsyncHTTPTransport(uds=gateway.http.removeprefix("unix:"))
        async with httpx.AsyncClient(transport=transport, base_url=gateway.url) as client:
            answer = await client.post("/chat/completions", json={"model": "gpt-4", "messages": HELLO})
            assert answer.json()["choices"][0]["message"]["content"] == "Hello, world!"
            assert answer.headers["x-portico-model"] == "dummy/echo-1"
            assert len(set(_sockets()) - before) == 3


async def test_two_gateways_live_in_one_program() -> None:
    """Each with its own routes and counts; the second has the first as a backend."""
    async with EmbeddedGateway(DUMMY, http=HERE) as first:
        config = {
            "backends": {"first": {"dialect": "openai", "url": first.url}},
            "models": {"far": "first/gpt-4"},
        }
        async with EmbeddedGateway(config, http=HERE) as second:
            async with sdk(second) as client:
                assert await _echo(client, "far") == "Hello, world!"
            async with sdk(first) as client:
                with pytest.raises(openai.NotFoundError):
                    await _echo(client, "far")
        async with sdk(first) as client:
            assert await _echo(client) == "Hello, world!"


@pytest.mark.parametrize("taken", ["http", "grpc"])
async def test_a_start_that_fails_leaves_nothing(taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        at = {"http": HERE, "grpc": HERE, taken: address}
        gateway = EmbeddedGateway(DUMMY, http=at["http"], grpc=at["grpc"])
        with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
            await gateway.start()
    await gateway.start()
    await gateway.stop()


class _Held:
    """A backend whose stream gives a piece and is held until ``released``."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.upstream = Upstream(
            [
                head(content_type="text/event-stream"),
                _event({"role": "assistant", "content": "begun"}),
                self.released,
                _event({"content": " and ended"}, "stop") + chunk(b"data: [DONE]\n\n") + LAST_CHUNK,
            ]
        )

    def config(self) -> Any:
        url = f"{self.upstream.url}/v1"
        return {"backends": {"slow": {"dialect": "openai", "url": url, "models": ["m"]}}}


def _event(delta: Any, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return chunk(b"data: %b\n\n" % json.dumps(event).encode())


@asynccontextmanager
async def _begun(gateway: EmbeddedGateway) -> AsyncIterator[Any]:
    """Yield a stream that has given its first piece."""
    async with sdk(gateway) as client:
        stream: Any = await client.chat.completions.create(model="slow/m", messages=HELLO, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "begun"
        yield stream


async def _rest(stream: Any) -> str:
    return "".join([each.choices[0].delta.content or "" async for each in stream])


@pytest.mark.parametrize("grpc", [None, HERE])
async def test_stopping_lets_running_streams_finish(grpc: str | None) -> None:
    held = _Held()
    async with held.upstream:
        gateway = EmbeddedGateway(held.config(), http=HERE, grpc=grpc, drain=PATIENCE)
        await gateway.start()
        async with _begun(gateway) as stream:
            address = gateway.http.rpartition(":")
            stopping = asyncio.create_task(gateway.stop())
            await _refused(address[0], int(address[2]))
            assert not stopping.done()
            held.released.set()
            assert await _rest(stream) == " and ended"
            await stopping


async def test_streams_that_outlast_the_budget_are_told_so() -> None:
    held = _Held()
    async with held.upstream:
        config = {**held.config(), "http": {"drain": "50ms"}}
        gateway = EmbeddedGateway(config, http=HERE)
        await gateway.start()
        async with _begun(gateway) as stream:
            stopping = asyncio.create_task(gateway.stop())
            with pytest.raises(openai.APIError, match="shutting down"):
                await _rest(stream)
            await stopping
            await held.upstream.closed()


@pytest.mark.parametrize("grpc", [None, HERE])
async def test_cancelling_the_stop_cuts_what_runs(grpc: str | None) -> None:
    held = _Held()
    async with held.upstream:
        gateway = EmbeddedGateway(held.config(), http=HERE, grpc=grpc, drain=3600)
        await gateway.start()
        async with _begun(gateway) as stream:
            address = gateway.http.rpartition(":")
            stopping = asyncio.create_task(gateway.stop())
            await _refused(address[0], int(address[2]))
            stopping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stopping
            with pytest.raises((openai.APIError, httpx.HTTPError)):
                await _rest(stream)
            await held.upstream.closed()


async def _refused(host: str, port: int) -> None:
    """Wait until nobody listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except ConnectionError:
                return
            writer.close()
            await writer.wait_closed()
