"""Every way in which HTTP to a backend fails is an error that a caller may read."""

import asyncio
import socket

import pytest

from portico.adapter import Limits
from portico.errors import ErrorClass, GatewayError
from portico.testing.upstream import Upstream, refusing
from portico.testing.watch import Signs
from portico.testing.wire import CLOSE, HANG, RESET, Script, answer, head, streamed
from portico_adapters._http import HttpClient
from tests.adapters.http.tools import client, post

LINE = b"HTTP/1.1 200 OK\r\n"

# What the backend does -> what the caller reads.
NO_ANSWER = "The backend closed the connection without an answer."
BROKE_OFF = "The backend broke off in the middle of its answer."
NOT_HTTP = "The backend's answer is not valid HTTP."
FAILURES: dict[str, tuple[Script, str]] = {
    "reset before headers": ([RESET], NO_ANSWER),
    "closed before headers": ([CLOSE], NO_ANSWER),
    "reset within headers": ([LINE + b"a:", RESET], NO_ANSWER),
    "closed within headers": ([LINE + b"a:", CLOSE], NO_ANSWER),
    "reset in a chunked body": ([*streamed(b"part", end=False), RESET], BROKE_OFF),
    "closed in a chunked body": ([*streamed(b"part", end=False), CLOSE], BROKE_OFF),
    "reset in a body of known length": ([head(length=9), b"part", RESET], BROKE_OFF),
    "closed in a body of known length": ([head(length=9), b"part", CLOSE], BROKE_OFF),
    "another protocol": ([b"SSH-2.0-x\r\n\r\n", CLOSE], NOT_HTTP),
    "a broken chunk": ([head(), b"zz\r\nabc\r\n", CLOSE], NOT_HTTP),
    "a large header": ([LINE + b"a: " + b"x" * 20_000 + b"\r\n\r\n"], NOT_HTTP),
    "many headers": ([LINE + b"a: b\r\n" * 20_000 + b"\r\n"], NOT_HTTP),
    "two lengths": ([LINE + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"], NOT_HTTP),
    "a compressed body": (
        answer(b"x", headers=[("content-encoding", "gzip")]),
        "The backend compressed its answer unasked.",
    ),
    "a large body": (answer(b"x" * 101), "The backend sent a larger answer than this gateway takes."),
    "a large chunked body": (
        streamed(b"x" * 101, size=7),
        "The backend sent a larger answer than this gateway takes.",
    ),
}


@pytest.mark.parametrize(("script", "message"), FAILURES.values(), ids=FAILURES)
async def test_what_the_backend_does_wrong_is_a_502_of_its_own(script: Script, message: str) -> None:
    """The message is fit for a caller, the detail tells the operator more, no connection is left."""
    async with Upstream(script) as upstream:
        async with client(upstream.url, Limits(answer_bytes=100)) as http:
            error = await failure(http)
        assert (error.error_class, error.http_status, error.message) == (ErrorClass.UPSTREAM, 502, message)
        assert error.detail
        assert "\n" not in error.detail
        await upstream.closed()


async def test_framing_that_breaks_in_mid_body_is_noticed_at_once() -> None:
    """Though the connection stays open, and a chunk came before."""
    alive, go_on = Signs(), asyncio.Event()
    script = [*streamed(b"part", end=False), go_on, b"zz\r\nabc\r\n", HANG]
    async with Upstream(script) as upstream, client(upstream.url) as http:
        call = asyncio.create_task(post(http, alive=alive))
        await alive.come(2)
        go_on.set()
        with pytest.raises(GatewayError, match="not valid HTTP"):
            await call
        await upstream.closed()


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 64}.example"])
async def test_a_name_that_cannot_be_one_is_not_resolved(host: str) -> None:
    """Nor is it the gateway's failure: other candidates may serve the call."""
    async with client(f"http://{host}") as http:
        error = await failure(http)
    assert (error.http_status, error.message) == (502, "The backend's address cannot be resolved.")


async def test_a_refused_connection_names_the_host_in_the_log_alone() -> None:
    """The library's own class for it would say "timeout"."""
    with refusing() as url:
        async with client(url) as http:
            error = await failure(http)
    assert (error.http_status, error.message) == (502, "The backend cannot be reached.")
    assert "127.0.0.1" in error.detail


async def test_an_address_without_a_host() -> None:
    """`.invalid` never resolves (RFC 6761)."""
    async with client("http://backend.invalid") as http:
        error = await failure(http)
    assert (error.http_status, error.message) == (502, "The backend's address cannot be resolved.")


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    """A full queue of connections swallows the next one: 504 after `connect_seconds`."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with client(url, Limits(connect_seconds=0.05)) as http:
            error = await failure(http)
    assert (error.error_class, error.http_status) == (ErrorClass.UPSTREAM, 504)
    assert error.message == "The backend did not accept a connection in time."


async def failure(http: HttpClient) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await post(http)
    return caught.value
