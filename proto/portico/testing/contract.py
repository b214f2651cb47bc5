"""The suite that every adapter must pass. Subclass it in a test module and run pytest::

    class TestEcho(AdapterContract):
        exchanges = [Exchange(UpstreamCall(params, model="echo-1"))]

        def make_adapter(self, url: str) -> Adapter:
            return EchoAdapter("echo", EchoAdapter.Settings(), Limits())

An adapter that calls a server over HTTP subclasses ``portico.testing.upstream_contract``, which adds
what can go wrong on the wire. The tests need no plugin of pytest: each runs a loop of its own.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from portico.adapter import Adapter, UpstreamCall
from portico.adapter import Upstream as Attempted
from portico.testing.assemble import assemble, said_by
from portico.testing.upstream import Answerer, Upstream
from portico.testing.wire import answer, streamed
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.gateway_pb2 import StreamResponse

S = TypeVar("S", bound="AdapterContract")


@dataclass(frozen=True)
class Exchange:
    """A call, and how the backend answers it: the same answer unstreamed and streamed.

    The bodies are the wire's; they stay empty for an adapter without a server.
    """

    call: Attempted[Any]
    #: Told where a test fails.
    name: str = ""
    #: Body of the unstreamed answer.
    answer: bytes = b""
    #: Body of the streamed answer, one element per event or frame of the dialect.
    stream: Sequence[bytes] = ()
    answer_type: str = "application/json"
    stream_type: str = "text/event-stream"


def in_a_loop(test: Callable[[S], Coroutine[Any, Any, None]]) -> Callable[[S], None]:
    """Make an asynchronous test a plain one, whatever the plugins of the test runner."""

    def run(self: S) -> None:
        asyncio.run(test(self))

    return _named_like(test, run)


def for_each_exchange(test: Callable[[S, Exchange], Coroutine[Any, Any, None]]) -> Callable[[S], None]:
    """Run an asynchronous test once for each of ``self.exchanges``; a failure names the exchange."""

    def run(self: S) -> None:
        for exchange in self.exchanges:
            try:
                asyncio.run(test(self, exchange))
            except Exception as error:
                error.add_note(f"The exchange was: {exchange.name or exchange.call}")
                raise

    return _named_like(test, run)


def _named_like(test: Callable[..., object], run: Callable[[S], None]) -> Callable[[S], None]:
    # Not functools.wraps: pytest would look for fixtures in the signature that is wrapped.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return run


class AdapterContract:
    """What holds for every adapter."""

    #: At least one. The first is used where any will do: plain text in several pieces is best.
    exchanges: Sequence[Exchange]
    #: Body of the backend's list of models, with one model or more.
    models: bytes = b""

    def make_adapter(self, url: str) -> Adapter:
        """Return a new adapter for a backend at ``url`` (no path), which one without a server ignores."""
        raise NotImplementedError

    @asynccontextmanager
    async def adapter(self, url: str) -> AsyncIterator[Adapter]:
        """Yield a new adapter, and close it."""
        adapter = self.make_adapter(url)
        try:
            yield adapter
        finally:
            await adapter.aclose()

    @asynccontextmanager
    async def against(self, *answers: Answerer) -> AsyncIterator[tuple[Adapter, Upstream]]:
        """Yield an adapter and its backend, which gives these answers; close both."""
        async with Upstream(*answers) as upstream, self.adapter(upstream.url) as adapter:
            yield adapter, upstream

    def test_it_is_an_adapter(self) -> None:
        """It has the protocol's methods, and frozen settings."""
        adapter = self.make_adapter("http://127.0.0.1:1")
        assert isinstance(adapter, Adapter), "a member of portico.adapter.Adapter is missing"
        assert dataclasses.is_dataclass(adapter.Settings), "Settings is no dataclass"
        params: Any = getattr(adapter.Settings, "__dataclass_params__")  # noqa: B009 - no stub knows it
        assert params.frozen, "Settings is not frozen"

    @for_each_exchange
    async def test_a_stream_amounts_to_the_unstreamed_answer(self, exchange: Exchange) -> None:
        """The same choices, finish reasons, tool calls and usage."""
        async with self.against(unstreamed(exchange), streaming(exchange)) as (adapter, _):
            whole = (await adapter.chat(exchange.call)).completion
            joined = assemble(await messages_of(adapter, exchange.call))
        for completion in (whole, joined):
            for choice in completion.choices:
                for number, call in enumerate(choice.message.tool_calls):
                    call.index = number
        assert said_by(joined) == said_by(whole), f"{joined.choices} is not {whole.choices}"
        assert joined.usage == whole.usage, f"{joined.usage} is not {whole.usage}"

    @for_each_exchange
    async def test_usage_arrives(self, exchange: Exchange) -> None:
        """Unstreamed and streamed, whether or not the caller asked for it."""
        async with self.against(unstreamed(exchange), streaming(exchange)) as (adapter, _):
            whole = (await adapter.chat(exchange.call)).completion
            joined = assemble(await messages_of(adapter, exchange.call))
        for completion in (whole, joined):
            assert completion.usage.prompt_tokens > 0, f"no usage: {completion.usage}"
            assert completion.usage.completion_tokens > 0, f"no usage: {completion.usage}"

    @for_each_exchange
    async def test_a_stream_begins_with_its_header(self, exchange: Exchange) -> None:
        """The first message has it, and later ones only where a value changes."""
        async with self.against(streaming(exchange)) as (adapter, _):
            messages = await messages_of(adapter, exchange.call)
        headers = [message.header for message in messages if message.HasField("header")]
        assert messages[0].HasField("header"), "the first message has no header"
        repeated = [header for header, following in pairwise(headers) if header == following]
        assert not repeated, f"a header that says nothing new: {repeated}"

    @for_each_exchange
    async def test_the_call_stays_as_it_is(self, exchange: Exchange) -> None:
        """Other attempts share its parameters."""
        before = exchange.call.params.SerializeToString(deterministic=True)
        async with self.against(unstreamed(exchange), streaming(exchange)) as (adapter, _):
            await adapter.chat(exchange.call)
            await messages_of(adapter, exchange.call)
        assert exchange.call.params.SerializeToString(deterministic=True) == before

    @for_each_exchange
    async def test_streams_side_by_side_do_not_mix(self, exchange: Exchange) -> None:
        """Twenty at once say each what one says."""
        async with self.against(streaming(exchange)) as (adapter, _):
            alone = assemble(await messages_of(adapter, exchange.call))
            streams = (messages_of(adapter, exchange.call) for _ in range(20))
            for messages in await asyncio.gather(*streams):
                assert assemble(messages).choices == alone.choices

    @for_each_exchange
    async def test_a_stream_may_be_left_early(self, exchange: Exchange) -> None:
        """After the first message; the next call is none the worse."""
        async with self.against(streaming(exchange), unstreamed(exchange)) as (adapter, _):
            async with aclosing(adapter.stream(exchange.call)) as messages:
                await anext(messages)
            await adapter.chat(exchange.call)

    @in_a_loop
    async def test_models_are_listed(self) -> None:
        """Each with the name to ask for."""
        async with self.against(answer(self.models)) as (adapter, _):
            models = await adapter.list_models(())
        assert models, "no models"
        assert all(model.id for model in models), f"models without a name: {models}"


def unstreamed(exchange: Exchange, *, size: int | None = None) -> Answerer:
    """Return the script of the unstreamed answer, in pieces of ``size`` bytes."""
    return answer(exchange.answer, content_type=exchange.answer_type, size=size)


def streaming(exchange: Exchange, *, size: int | None = None) -> Answerer:
    """Return the script of the streamed answer, in pieces of ``size`` bytes; None: all at once."""
    return streamed(b"".join(exchange.stream), content_type=exchange.stream_type, size=size)


async def messages_of(adapter: Adapter, call: UpstreamCall) -> list[StreamResponse]:
    """Return a whole stream."""
    async with aclosing(adapter.stream(call)) as messages:
        return [message async for message in messages]


def chunks_of(messages: Sequence[StreamResponse]) -> list[tuple[ChunkHeader, ChatChunk]]:
    """Return each chunk with the header that holds for it: what a stream says, however it was cut."""
    found = []
    header = ChunkHeader()
    for message in messages:
        header = message.header if message.HasField("header") else header
        found += [(header, chunk) for chunk in message.chunks]
    return found
