"""The core over a real adapter and a scripted HTTP backend: leaving, silence, breaks, and taking over."""

import asyncio
import time

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.testing.upstream import Upstream, refusing
from portico.testing.wire import HANG, RESET, Pause, Step, answer, chunk, head, streamed
from portico_core.config import Timeouts
from tests.core.over_http import ASKING, DONE, PATIENT, ROLE, WHOLE, delta, event, over, read, whole
from tests.support.core import BINDINGS, ask_stream, contents


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize(
    ("asking", "script"),
    [
        ("unstreamed", [HANG]),
        ("unstreamed", [head(), HANG]),
        ("unstreamed", [head(), chunk(b'{"id":'), HANG]),
        ("streamed", [HANG]),
        ("streamed", [head(content_type="text/event-stream"), HANG]),
        ("streamed", [*streamed([ROLE], end=False), HANG]),
        ("streamed", [*streamed([ROLE, delta(content="Hel")], end=False), HANG]),
    ],
    ids=[
        "before headers",
        "after headers",
        "in the body",
        "s-before headers",
        "s-after headers",
        "s-role",
        "s-text",
    ],
)
async def test_leaving_closes_the_connection_to_the_backend(
    binding: str, asking: str, script: list[Step]
) -> None:
    """Within a second, whatever the backend has sent by then; nobody else is tried."""
    sent = asyncio.Event()
    async with Upstream([*script[:-1], sent.set, HANG]) as upstream, Upstream(WHOLE) as other:
        async with BINDINGS[binding](over([upstream.url, other.url])) as gateway:
            task = asyncio.ensure_future(ASKING[asking](gateway))
            await sent.wait()
            task.cancel()
            left = time.monotonic()
            await upstream.closed()
            assert time.monotonic() - left < 1
            with pytest.raises(asyncio.CancelledError):
                await task
        assert other.requests == []


#: How it is asked, what the backend does, and how often it is tried before the next one is.
FAILS: dict[str, tuple[str, list[Step], int]] = {
    "it resets": ("unstreamed", [RESET], 2),
    "it resets in the body": ("unstreamed", [head(), chunk(b'{"id":'), RESET], 2),
    "it is overloaded": ("unstreamed", answer(b'{"error": {"message": "later"}}', 503), 3),
    "it limits rates": ("streamed", answer(b'{"error": {"message": "slow down"}}', 429), 3),
    "it fails": ("streamed", answer(b"<html>oops</html>", 500, content_type="text/html"), 2),
    "it refuses our key": ("streamed", answer(b'{"error": {"message": "bad key"}}', 401), 1),
    "it resets before the first content": ("streamed", [*streamed([ROLE], end=False), RESET], 2),
    "it ends before the first content": ("streamed", streamed([ROLE]), 2),
    "it sends an error as its first event": (
        "streamed",
        streamed([event({"error": {"message": "overloaded", "type": "server_error"}})]),
        3,
    ),
    "it is silent": ("unstreamed", [HANG], 1),
    "it is silent behind its role": ("streamed", [*streamed([ROLE], end=False), HANG], 1),
}


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("how", FAILS)
async def test_the_next_candidate_takes_over_when_a_backend_fails(binding: str, how: str) -> None:
    """Refused, reset, silent, overloaded or broken: before the first content the caller never knows."""
    asking, script, tries = FAILS[how]
    timeouts = Timeouts(silence=0.2) if "silent" in how else PATIENT
    good = WHOLE if asking == "unstreamed" else streamed([ROLE, delta(content="hello"), *DONE])
    async with Upstream(script) as bad, Upstream(good) as upstream:
        async with BINDINGS[binding](over([bad.url, upstream.url], timeouts)) as gateway:
            assert await ASKING[asking](gateway) == "hello"
        assert len(bad.requests) == tries


@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_next_candidate_takes_over_when_nobody_listens(binding: str) -> None:
    """A backend that is not there costs no more than a connect."""
    with refusing() as dead:
        async with Upstream(WHOLE) as upstream, BINDINGS[binding](over([dead, upstream.url])) as gateway:
            assert await whole(gateway) == "hello"


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("end", [RESET, HANG])
async def test_a_stream_that_breaks_ends_with_an_error(binding: str, end: Step) -> None:
    """After the first content nobody takes over, and the caller keeps what came."""
    async with (
        Upstream([*streamed([ROLE, delta(content="Hel")], end=False), end]) as bad,
        Upstream(WHOLE) as other,
    ):
        async with BINDINGS[binding](over([bad.url, other.url], Timeouts(silence=0.6))) as gateway:
            stream = gateway.stream(ask_stream(), CallContext("r"))
            assert contents([await anext(stream)]) == "Hel"
            with pytest.raises(GatewayError) as caught:
                await anext(stream)
        assert caught.value.http_status == (504 if end is HANG else 502)
        assert other.requests == []


async def test_a_backend_that_says_it_is_alive_is_not_silent() -> None:
    """Comments, as servers send them while a request waits in their queue, are signs of life."""
    begun = head(content_type="text/event-stream")
    alive = [step for _ in range(6) for step in (Pause(0.1), chunk(b": waiting\n\n"))]
    rest = map(chunk, (ROLE, delta(content="hello"), *DONE, b""))
    settings = Timeouts(silence=0.3)
    async with (
        Upstream([begun, *alive, *rest]) as upstream,
        BINDINGS["direct"](over([upstream.url], settings)) as gateway,
    ):
        assert await read(gateway) == "hello"
