"""What holds for an adapter that calls a server over HTTP, beside ``AdapterContract``::

class TestAcme(UpstreamContract):
    exchanges = [Exchange(call, answer=b"…", stream=[b"…", …])]
    models = b"…"

    def make_adapter(self, url: str) -> Adapter: …
    def error_body(self, status: int, message: str) -> bytes: …
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

from portico.adapter import Adapter, UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.testing.contract import (
    AdapterContract,
    Exchange,
    chunks_of,
    for_each_exchange,
    in_a_loop,
    messages_of,
    streaming,
    unstreamed,
)
from portico.testing.upstream import Upstream, refusing
from portico.testing.watch import PATIENCE, Signs
from portico.testing.wire import CLOSE, HANG, RESET, End, Script, answer, head, streamed
from portico.v1.gateway_pb2 import StreamResponse

# A backend's status -> whose fault it is.
_CLASSES: Final = {
    400: ErrorClass.CALLER,
    401: ErrorClass.CREDENTIAL,
    403: ErrorClass.CREDENTIAL,
    404: ErrorClass.CALLER,
    413: ErrorClass.CALLER,
    429: ErrorClass.CAPACITY,
    500: ErrorClass.UPSTREAM,
    502: ErrorClass.UPSTREAM,
    503: ErrorClass.CAPACITY,
    504: ErrorClass.UPSTREAM,
}
_REASON: Final = "the reason is number 4711"


async def _chat(adapter: Adapter, call: UpstreamCall) -> object:
    return await adapter.chat(call)


#: The ways to make a call and read all of its answer.
_WAYS: Final[Sequence[Callable[[Adapter, UpstreamCall], Awaitable[object]]]] = (_chat, messages_of)


class UpstreamContract(AdapterContract):
    """What holds for every adapter that calls a server over HTTP."""

    def error_body(self, status: int, message: str) -> bytes:
        """Return the body of an error as the dialect writes it."""
        raise NotImplementedError

    @for_each_exchange
    async def test_where_reads_end_changes_nothing(self, exchange: Exchange) -> None:
        """Answers in pieces of 64 bytes and of one byte say what they say as a whole."""
        for size in (64, 1):
            scripts = [make(exchange, size=cut) for make in (unstreamed, streaming) for cut in (None, size)]
            async with self.against(*scripts) as (adapter, _):
                assert await adapter.chat(exchange.call) == await adapter.chat(exchange.call)
                whole = chunks_of(await messages_of(adapter, exchange.call))
                assert chunks_of(await messages_of(adapter, exchange.call)) == whole

    @for_each_exchange
    async def test_what_one_read_brings_travels_together(self, exchange: Exchange) -> None:
        """A burst of chunks is fewer messages than chunks."""
        async with self.against(streaming(exchange)) as (adapter, _):
            messages = await messages_of(adapter, exchange.call)
        count = len(chunks_of(messages))
        assert count == 1 or len(messages) < count, f"{len(messages)} messages for {count} chunks"

    @for_each_exchange
    async def test_nothing_waits_for_company(self, exchange: Exchange) -> None:
        """What has come is there while the backend goes on, and bytes of any kind are signs of life."""
        alive = Signs()
        call = dataclasses.replace(exchange.call, alive=alive)
        async with self.against(_unfinished(exchange, HANG)) as (adapter, _):
            await asyncio.wait_for(_first(adapter, call), PATIENCE)
        assert alive.count >= 2, "alive was not called for the headers and for each read"

    @in_a_loop
    async def test_cancelling_closes_the_connection_within_a_second(self) -> None:
        """Unstreamed and streamed; before the headers, after them, and in the middle of the answer."""
        exchange = self.exchanges[0]
        scripts: list[tuple[Script, int]] = [
            ([HANG], 0),
            ([head(content_type=exchange.stream_type), HANG], 1),
            (_unfinished(exchange, HANG), 2),
        ]
        for way in _WAYS:
            for script, signs in scripts:
                alive = Signs()
                async with self.against(script) as (adapter, upstream):
                    call = dataclasses.replace(exchange.call, alive=alive)
                    task = asyncio.ensure_future(way(adapter, call))
                    await upstream.received()
                    await alive.come(signs)
                    task.cancel()
                    async with asyncio.timeout(1):
                        await upstream.closed()
                    await asyncio.wait([task])
                    assert task.cancelled(), f"the cancelled call ended otherwise: {task}"

    @in_a_loop
    async def test_leaving_a_stream_closes_the_connection(self) -> None:
        """As the core does when its caller has left."""
        exchange = self.exchanges[0]
        async with self.against(_unfinished(exchange, HANG)) as (adapter, upstream):
            await _first(adapter, exchange.call)
            async with asyncio.timeout(1):
                await upstream.closed()

    @in_a_loop
    async def test_an_errors_status_decides_its_class(self) -> None:
        """Only of the caller's own mistakes does the caller read the backend's words."""
        call = self.exchanges[0].call
        for status, expected in _CLASSES.items():
            body = self.error_body(status, _REASON)
            for way in _WAYS:
                async with self.against(answer(body, status, [("retry-after", "7")])) as (adapter, _):
                    error = await _failure(way(adapter, call))
                assert error.error_class is expected, f"{status} is {error.error_class}"
                assert error.upstream_status == status
                assert error.retry_after == 7, f"{status}: Retry-After is lost"
                told = error.message if expected is ErrorClass.CALLER else error.detail
                assert _REASON in told, f"{status}: {error.message!r}, for the log {error.detail!r}"
                assert expected is ErrorClass.CALLER or _REASON not in error.message

    @in_a_loop
    async def test_the_backends_own_name_for_a_request_is_told(self) -> None:
        """Of an answer, a stream and an error; the gateway's own name, sent back, is none."""
        exchange = self.exchanges[0]
        for name, expected in (("theirs", ["theirs"]), ("ours", [])):
            said = [("x-request-id", name)]
            whole = answer(exchange.answer, 200, said, content_type=exchange.answer_type)
            stream = streamed(exchange.stream, 200, said, content_type=exchange.stream_type)
            error = answer(self.error_body(500, _REASON), 500, said)
            async with self.against(whole, stream, error) as (adapter, _):
                for way in (_chat, messages_of, _failing):
                    told: list[str] = []
                    await way(
                        adapter, dataclasses.replace(exchange.call, request_id="ours", answered=told.append)
                    )
                    assert told == expected, f"{way.__name__}: {told}"

    @in_a_loop
    async def test_a_backend_that_breaks_off_has_failed(self) -> None:
        """Before and after the headers; what came of a stream before that arrives."""
        exchange = self.exchanges[0]
        half = exchange.answer[: len(exchange.answer) // 2]
        for end in (RESET, CLOSE):
            scripts: list[Script] = [[end], [head(length=len(exchange.answer)), half, end]]
            for script in scripts:
                async with self.against(script) as (adapter, upstream):
                    _upstream_failed(await _failure(adapter.chat(exchange.call)), upstream.url)
            async with self.against([end], _unfinished(exchange, end)) as (adapter, upstream):
                _upstream_failed(await _failure(messages_of(adapter, exchange.call)), upstream.url)
                async with aclosing(adapter.stream(exchange.call)) as messages:
                    await anext(messages)
                    _upstream_failed(await _failure(_rest(messages)), upstream.url)

    @in_a_loop
    async def test_what_is_not_the_dialect_is_the_backends_failure(self) -> None:
        """A page, nothing at all, a redirect (which is not followed)."""
        for script in (
            answer(b"<html>Welcome!</html>", content_type="text/html"),
            answer(b""),
            answer(b"", 307, [("location", "/elsewhere")]),
        ):
            for way in _WAYS:
                async with self.against(script) as (adapter, upstream):
                    _upstream_failed(await _failure(way(adapter, self.exchanges[0].call)), upstream.url)
                    assert len(upstream.requests) == 1

    @in_a_loop
    async def test_a_refused_connection_is_the_backends_failure(self) -> None:
        """Of which the caller hears no address."""
        with refusing() as url:
            async with self.adapter(url) as adapter:
                for way in _WAYS:
                    _upstream_failed(await _failure(way(adapter, self.exchanges[0].call)), url)

    @in_a_loop
    async def test_one_connection_serves_call_after_call(self) -> None:
        """And aclose closes it."""
        exchange = self.exchanges[0]
        error = answer(self.error_body(400, _REASON), 400)
        scripts = [unstreamed(exchange), streaming(exchange), error, streaming(exchange), answer(self.models)]
        async with Upstream(*scripts) as upstream:
            async with self.adapter(upstream.url) as adapter:
                await adapter.chat(exchange.call)
                await messages_of(adapter, exchange.call)
                await _failure(adapter.chat(exchange.call))
                await messages_of(adapter, exchange.call)
                await adapter.list_models(())
                assert upstream.connections == 1, f"{upstream.connections} connections for five calls"
            await upstream.closed()


async def _failing(adapter: Adapter, call: UpstreamCall) -> object:
    return await _failure(adapter.chat(call))


def _unfinished(exchange: Exchange, end: End) -> Script:
    """The first half of a stream, one write per event."""
    events = exchange.stream[: (len(exchange.stream) + 1) // 2]
    return [*streamed(events, content_type=exchange.stream_type, end=False), end]


async def _first(adapter: Adapter, call: UpstreamCall) -> StreamResponse:
    """Return the first message of a stream, and leave it."""
    async with aclosing(adapter.stream(call)) as messages:
        return await anext(messages)


async def _rest(messages: AsyncIterator[StreamResponse]) -> None:
    async for _ in messages:
        pass


async def _failure(call: Awaitable[object]) -> GatewayError:
    try:
        result = await call
    except GatewayError as error:
        return error
    raise AssertionError(f"expected a GatewayError, got {result!r}")


def _upstream_failed(error: GatewayError, url: str) -> None:
    assert error.error_class is ErrorClass.UPSTREAM, f"{error.error_class}: {error.message}"
    assert error.http_status in (502, 504), f"{error.http_status}: {error.message}"
    assert url.removeprefix("http://") not in error.message, f"the caller reads an address: {error.message}"
