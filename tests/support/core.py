"""A core over scripted adapters, reached directly and over gRPC."""

import asyncio
import contextlib
import copy
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from google.protobuf.message import Message
from grpc import aio

from portico.adapter import (
    Adapter,
    Completes,
    CompletionCall,
    EmbeddingCall,
    Embeds,
    Limits,
    UpstreamCall,
)
from portico.adapter import (
    Upstream as Attempted,
)
from portico.gateway import Gateway
from portico.link import LinkedGateway, Links
from portico.link.link import Link
from portico.remote import RemoteGateway, channel_options
from portico.testing.watch import Watch
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChatCompletionParams
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.message_pb2 import ChatMessage
from portico.v1.models_pb2 import Model
from portico.v1.usage_pb2 import Usage
from portico_core.candidates import Candidate, Route
from portico_core.config import Backend, Config, Grpc, Timeouts
from portico_core.gateway import RoutingGateway
from portico_core.routing import Routes
from portico_core.server import Server

M = TypeVar("M", bound=Message)


class Silence(Enum):
    """A step that never ends."""

    FOREVER = "until the attempt is given up"


FOREVER: Final = Silence.FOREVER

#: A message is answered or streamed, an exception raised, an event waited for, a function called.
Step: TypeAlias = Message | Exception | asyncio.Event | Silence | Callable[[Any], object]
Script: TypeAlias = Sequence[Step]


@dataclass
class Upstream:
    """What a scripted adapter does, and what was done with it."""

    #: One script per attempt, in turn; the last one serves all that follow.
    scripts: Sequence[Script] = ()
    models: Sequence[Model] | Exception | asyncio.Event = ()
    #: Attempts that were made, and how many of them are over, whichever way.
    calls: list[Attempted[Any]] = field(default_factory=list)
    over: int = 0
    #: How often the models were asked for.
    asked: int = 0
    closed: bool = False
    watch: Watch = field(default_factory=Watch)

    async def called(self, count: int = 1) -> None:
        """Wait until ``count`` attempts were begun."""
        await self.watch.until(lambda: len(self.calls) >= count, f"{count} attempts")

    async def released(self) -> None:
        """Wait until every attempt is over."""
        await self.watch.until(lambda: self.over == len(self.calls), "the end of all attempts")


class ScriptedAdapter:
    """An ``Adapter`` whose settings are the ``Upstream`` to play."""

    Settings: ClassVar[type[Any]] = Upstream

    def __init__(self, name: str, settings: Upstream, limits: Limits) -> None:
        self.limits = limits
        self._upstream = settings

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        return await self._first(call, ChatResponse)

    def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        return self._play(call, StreamResponse)

    async def _first(self, call: Attempted[Any], kind: type[M]) -> M:
        async with contextlib.aclosing(self._play(call, kind)) as messages:
            async for message in messages:
                return message
        raise AssertionError("the script answers nothing")

    async def _play(self, call: Attempted[Any], kind: type[M]) -> AsyncGenerator[M, None]:
        upstream = self._upstream
        script = upstream.scripts[min(len(upstream.calls), len(upstream.scripts) - 1)]
        upstream.calls.append(call)
        upstream.watch.changed()
        try:
            for step in script:
                if isinstance(step, Message):
                    assert isinstance(step, kind)
                    # The core may change what it is given.
                    yield copy.deepcopy(step)
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, asyncio.Event | Silence):
                    await (asyncio.Event() if isinstance(step, Silence) else step).wait()
                else:
                    step(call)
        finally:
            upstream.over += 1
            upstream.watch.changed()

    async def list_models(self, headers: Sequence[Any], /) -> Sequence[Model]:
        upstream = self._upstream
        upstream.asked += 1
        if isinstance(upstream.models, asyncio.Event):
            await upstream.models.wait()
            return ()
        if isinstance(upstream.models, Exception):
            raise upstream.models
        return upstream.models

    async def aclose(self) -> None:
        self._upstream.closed = True


class VersatileAdapter(ScriptedAdapter):
    """One that serves text completions and embeddings too."""

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        return await self._first(call, CompleteResponse)

    def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        return self._play(call, StreamCompleteResponse)

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        return await self._first(call, EmbedResponse)


_checked: type[Adapter] = ScriptedAdapter
_checked_texts: type[Completes] = VersatileAdapter
_checked_embeddings: type[Embeds] = VersatileAdapter


def config(
    backends: dict[str, Upstream],
    models: dict[str, Sequence[str]] | None = None,
    default: str | None = None,
    timeouts: Timeouts | None = None,
    listed: dict[str, Sequence[str]] | None = None,
    versatile: Collection[str] = (),
) -> Config:
    """Return a configuration over scripted backends; by default model ``m`` tries all of them, in order.

    ``versatile``: those that serve text completions and embeddings too.
    """
    if models is None:
        models = {"m": [f"{name}/{name}-model" for name in backends]}
    return Config(
        Grpc(),
        tuple(
            Backend(
                name=name,
                dialect="scripted",
                adapter=VersatileAdapter if name in versatile else ScriptedAdapter,
                settings=upstream,
                timeouts=timeouts or Timeouts(),
                models=None if listed is None or name not in listed else tuple(listed[name]),
                place=f"portico.yaml:{line}",
            )
            for line, (name, upstream) in enumerate(backends.items(), 1)
        ),
        Routes(
            [Route(name, tuple(map(candidate, targets))) for name, targets in models.items()],
            list(backends),
            Route("*", (candidate(default),)) if default else None,
        ),
    )


def candidate(text: str) -> Candidate:
    """Return a candidate for BACKEND/MODEL."""
    backend, _, model = text.partition("/")
    return Candidate(backend, model)


@contextlib.asynccontextmanager
async def direct(settings: Config) -> AsyncIterator[RoutingGateway]:
    """Run a gateway in this process."""
    gateway = RoutingGateway(settings)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.aclose()


@contextlib.asynccontextmanager
async def served(gateway: RoutingGateway) -> AsyncIterator[aio.Channel]:
    """Serve a gateway over a Unix socket; yield a channel to it."""
    async with (
        listening(gateway) as address,
        aio.insecure_channel(address, channel_options()) as channel,
    ):
        yield channel


@contextlib.asynccontextmanager
async def listening(gateway: RoutingGateway) -> AsyncIterator[str]:
    """Serve a gateway over a Unix socket; yield its address."""
    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        address = f"unix:{Path(folder, 'core.sock')}"
        server = Server(gateway)
        await server.start([address])
        try:
            yield address
        finally:
            await server.stop(0)


@contextlib.asynccontextmanager
async def over_grpc(settings: Config) -> AsyncIterator[Gateway]:
    """Run a gateway behind a real gRPC server and channel."""
    async with direct(settings) as gateway, served(gateway) as channel:
        yield RemoteGateway(channel)


@contextlib.asynccontextmanager
async def over_link(settings: Config) -> AsyncIterator[Gateway]:
    """Run a gateway behind a real gRPC server, and have every call that may go over a link do so."""
    async with (
        direct(settings) as gateway,
        listening(gateway) as address,
        aio.insecure_channel(address, channel_options()) as channel,
        Links(address) as links,
    ):
        while links.pick() is None:  # noqa: ASYNC110 - nobody but tests waits for a link
            await asyncio.sleep(0.001)

        def pick() -> Link:
            link = links.pick()
            assert link is not None, "the link is gone"
            return link

        yield LinkedGateway(RemoteGateway(channel), pick)


Binding: TypeAlias = Callable[[Config], contextlib.AbstractAsyncContextManager[Gateway]]

#: The ways to reach a core, by name.
BINDINGS: dict[str, Binding] = {"direct": direct, "grpc": over_grpc, "link": over_link}


def params(model: str = "m", **more: Any) -> ChatCompletionParams:
    """Return what a small call asks for."""
    return ChatCompletionParams(model=model, messages=[ChatMessage(role="user", content="hi")], **more)


def ask(model: str = "m", **more: Any) -> ChatRequest:
    """Return a small unstreamed request."""
    return ChatRequest(params=params(model, **more))


def ask_stream(model: str = "m", **more: Any) -> StreamRequest:
    """Return a small streamed request."""
    return StreamRequest(params=params(model, **more))


USAGE = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)


def answer(content: str = "hello", finish_reason: str | None = "stop") -> ChatResponse:
    """Return a backend's whole answer."""
    choice = ChatChoice(message=ChatMessage(role="assistant", content=content), finish_reason=finish_reason)
    return ChatResponse(
        completion=ChatCompletion(id="c", created=1, model="its own", choices=[choice], usage=USAGE)
    )


def chunk(index: int = 0, finish_reason: str | None = None, **delta: Any) -> ChatChunk:
    """Return one chunk with one choice."""
    return ChatChunk(choices=[ChunkChoice(index=index, delta=Delta(**delta), finish_reason=finish_reason)])


def role() -> StreamResponse:
    """Return how streams begin: a header, and a role without content."""
    header = ChunkHeader(id="c", created=1, model="its own")
    return StreamResponse(header=header, chunks=[chunk(role="assistant", content="")])


def text(*contents: str) -> StreamResponse:
    """Return tokens that came together."""
    return StreamResponse(chunks=[chunk(content=content) for content in contents])


def finish() -> StreamResponse:
    """Return how streams end: a finish_reason, and the usage."""
    return StreamResponse(chunks=[chunk(finish_reason="stop"), ChatChunk(usage=USAGE)])


def contents(responses: Sequence[StreamResponse]) -> str:
    """Return the text of a stream."""
    return "".join(
        choice.delta.content for response in responses for each in response.chunks for choice in each.choices
    )
