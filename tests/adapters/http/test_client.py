"""HTTP to a backend: what is sent, kept connections, cancelling, bounds, TLS."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from portico.adapter import Limits
from portico.errors import ErrorClass, GatewayError
from portico.testing.upstream import Upstream
from portico.testing.watch import Signs
from portico.testing.wire import CLOSE, HANG, Script, answer, chunk, head, streamed
from portico_adapters._http import HttpClient, opening
from tests.adapters.http.tools import StuckServer, client, post, server_tls, trusting_tls

OK = answer(b"ok")


async def test_a_request_carries_what_was_given_and_nothing_of_the_library() -> None:
    """Headers of the client and of the call; no cookie, even when the backend sets one."""
    upstream = Upstream(answer(b"ok", headers=[("set-cookie", "a=b")]))
    async with upstream, client(upstream.url + "/base/") as http:
        for _ in range(2):
            assert await post(http) == b"ok"
        request = upstream.requests[1]
        assert (request.method, request.path, request.body) == ("POST", "/base/x", b"{}")
        assert request.headers == {
            "host": upstream.url.removeprefix("http://"),
            "accept-encoding": "identity",
            "content-length": "2",
            "x-always": "1",
            "x-once": "2",
        }


async def test_answers_that_were_read_leave_their_connection_to_the_next() -> None:
    """Of known length, chunked, without a body, with an error's status."""
    scripts = [OK, streamed(b"ok", size=1), answer(b"", 204), answer(b"no", 500)]
    async with Upstream(*scripts) as upstream, client(upstream.url) as http:
        for _ in scripts:
            await post(http)
        assert upstream.connections == 1


@pytest.mark.parametrize("make", [answer, streamed])
async def test_a_slow_reader_gets_all_of_an_answer_whose_server_is_gone(
    make: Callable[[bytes], Script],
) -> None:
    """What waits on this side when the connection ends is part of the answer."""
    body = bytes(range(256)) * 2048
    async with Upstream([*make(body), CLOSE]) as upstream, client(upstream.url) as http:
        found = await http.send("GET", "/x", {}, alive=Signs())
        await upstream.closed()
        with found:
            assert await found.read() == body


async def test_aclose_leaves_no_connection() -> None:
    """The kept ones are closed."""
    async with Upstream(OK) as upstream:
        async with client(upstream.url) as http:
            await post(http)
            assert upstream.open_connections == 1
        await upstream.closed()


async def test_a_connection_that_the_backend_closed_while_idle_is_not_used_again() -> None:
    """The next request goes over a new one, and only once."""
    async with Upstream([*OK, CLOSE], OK) as upstream, client(upstream.url) as http:
        await post(http)
        await upstream.closed(0)
        assert await post(http) == b"ok"
        assert [request.connection for request in upstream.requests] == [0, 1]


async def test_a_post_is_not_repeated_when_the_backend_hangs_up_on_it() -> None:
    """Over a kept connection neither: the backend may have served it."""
    async with Upstream(OK, [CLOSE], OK) as upstream, client(upstream.url) as http:
        await post(http)
        with pytest.raises(GatewayError, match="without an answer"):
            await post(http)
        assert len(upstream.requests) == 2


# Script, and how many signs of life precede the cancel: one for the headers, one for each read.
CANCELLED: dict[str, tuple[Script, int]] = {
    "before the headers": ([HANG], 0),
    "after the headers": ([head(), HANG], 1),
    "in mid-body": ([*streamed(b"part", end=False), HANG], 2),
    "with more on the way than is read": ([head(), *[chunk(b"x" * 65536)] * 640, HANG], 2),
}


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(("script", "signs"), CANCELLED.values(), ids=CANCELLED)
async def test_cancelling_closes_the_connection_within_a_second(
    script: Script, signs: int, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the backend is about, over TLS too."""
    monkeypatch.setattr(opening, "tls", trusting_tls)
    alive = Signs()
    async with (
        Upstream(script, tls=server_tls() if secure else None) as upstream,
        client(upstream.url) as http,
    ):
        call = asyncio.create_task(post(http, alive=alive))
        await upstream.received()
        await alive.come(signs)
        call.cancel()
        async with asyncio.timeout(1):
            await upstream.closed()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_leaving_an_answer_unread_closes_the_connection() -> None:
    """As a consumer of a stream does who has enough."""
    async with Upstream([*streamed(b"part", end=False), HANG]) as upstream, client(upstream.url) as http:
        with await http.send("GET", "/x", {}, alive=Signs()) as found:
            assert await found.next() == b"part"
            assert upstream.open_connections == 1
        await upstream.closed()


async def test_cancelling_does_not_send_the_rest_of_a_large_request() -> None:
    """A backend that has read only the start of a long prompt never gets all of it."""
    body = b"x" * 32 * 1024 * 1024
    async with StuckServer() as server, client(server.url) as http:
        call = asyncio.create_task(post(http, body))
        await server.stuck.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await server.rest() < len(body)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the state of a connection is read as on Linux")
async def test_cancelling_does_not_wait_for_the_other_side_of_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which, where nobody reads there, would take half a minute."""
    monkeypatch.setattr(opening, "tls", trusting_tls)
    async with StuckServer(server_tls()) as server, client(server.url) as http:
        call = asyncio.create_task(post(http))
        await server.stuck.wait()
        call.cancel()
        async with asyncio.timeout(1):
            await server.hung_up()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_call_waits_for_a_free_connection_and_not_for_ever() -> None:
    """At the bound the next call goes over the first connection that is given back, or fails in time."""
    release = asyncio.Event()
    limits = Limits(connections=1, connect_seconds=0.5)
    async with Upstream([release, *OK], OK) as upstream, client(upstream.url, limits) as http:
        first = asyncio.create_task(post(http))
        await upstream.received()
        with pytest.raises(GatewayError, match="connections to the backend are in use") as caught:
            await post(http)
        assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.CAPACITY, 503)
        second = asyncio.create_task(post(http))
        release.set()
        assert [await first, await second] == [b"ok", b"ok"]
        assert upstream.connections == 1


async def test_a_cancelled_or_failed_call_gives_its_place_back() -> None:
    """After each of them there is room for one more."""
    limits = Limits(connections=1, answer_bytes=10)
    large = answer(b"x" * 11)
    async with Upstream([HANG], [CLOSE], large, OK) as upstream, client(upstream.url, limits) as http:
        call = asyncio.create_task(post(http))
        await upstream.received()
        call.cancel()
        await upstream.closed()
        for _ in range(2):
            with pytest.raises(GatewayError, match=r"without an answer|larger answer"):
                await post(http)
        assert await post(http) == b"ok"


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    """Verification is on."""
    async with Upstream(OK, tls=server_tls()) as upstream, client(upstream.url) as http:
        with pytest.raises(GatewayError, match="TLS handshake failed") as caught:
            await post(http)
        assert "certificate verify failed" in caught.value.detail
        assert not upstream.requests


async def test_every_read_is_a_sign_of_life() -> None:
    """The headers, then each piece."""
    alive, more = Signs(), asyncio.Event()
    body = streamed(b"ab", size=1)
    async with Upstream([*body[:2], more, *body[2:]]) as upstream, client(upstream.url) as http:
        call = asyncio.create_task(post(http, alive=alive))
        await alive.come(2)
        more.set()
        assert await call == b"ab"
        assert alive.count == 3


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", ""])
def test_a_url_must_be_one_of_http(url: str) -> None:
    """What is not is refused when the client is made."""
    with pytest.raises(ValueError, match="not an http or https URL"):
        HttpClient(url, {}, Limits())
