"""TLS to a backend through a proxy that passes bytes on, itself reached by TLS or without."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from portico.adapter import Limits
from portico.errors import GatewayError
from portico.testing.upstream import Upstream
from portico.testing.wire import Script, answer
from portico_adapters._http import opening
from tests.adapters.http.tools import client, post, server_tls, serving, trusting_tls

LARGE = b"x" * 300_000
BY_TLS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
    finally:
        target.close()


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a proxy. Whatever happens to one side ends the other."""
    with suppress(OSError, asyncio.IncompleteReadError):
        first = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        port = int(first.split()[1].rpartition(b":")[2])
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", port)
        # uvloop refuses to write to a client that has gone.
        with suppress(RuntimeError):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        ways = (_pass_on(reader, inner), _pass_on(inner_reader, writer))
        await asyncio.gather(*ways, return_exceptions=True)
    writer.close()


@asynccontextmanager
async def behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, *scripts: Script, secure: bool, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Upstream, str]]:
    """Yield a backend and the URL by which it is reached through a proxy."""
    monkeypatch.setattr(opening, "tls", trusting_tls)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with (
        Upstream(*scripts, tls=tls or server_tls()) as upstream,
        serving(tunnel, server_tls() if secure else None) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        # A name that the proxy alone resolves, with the dot that no certificate has.
        yield upstream, f"https://backend.invalid.:{upstream.url.rpartition(':')[2]}"


@BY_TLS
async def test_requests_share_a_tunnel(secure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones pass both ways; the backend is asked for by its name without the dot at its end."""
    names: list[str | None] = []
    tls = server_tls()
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with behind_a_proxy(monkeypatch, answer(LARGE), secure=secure, tls=tls) as (upstream, url):
        async with client(url) as http, asyncio.timeout(10):
            for _ in range(2):
                assert await post(http, LARGE) == LARGE
        assert (upstream.connections, names) == (1, ["backend.invalid"])
        await upstream.closed()


@BY_TLS
async def test_cancelling_at_any_step_leaves_no_tunnel(secure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor takes a place among the connections for ever."""
    async with (
        behind_a_proxy(monkeypatch, answer(b"ok"), secure=secure) as (upstream, url),
        client(url, Limits(connections=1)) as http,
    ):
        for steps in range(0, 120, 5):
            call = asyncio.create_task(post(http))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            await http.aclose()
        async with asyncio.timeout(10):
            await upstream.closed()
            assert await post(http) == b"ok"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 Connected\r\n", b"HTTP/1.1 200 Connected\r\n\r\n"])
async def test_a_proxy_that_hangs_up_is_not_waited_for(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it said before."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with serving(hang_up) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with client("https://backend.invalid") as http, asyncio.timeout(5):
            with pytest.raises(GatewayError, match=r"refused the connection|cannot be reached"):
                await post(http)
