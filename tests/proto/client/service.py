"""A hand-made GatewayService on a live server: it plays scripts and records how its calls end."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.message import Message
from grpc import StatusCode, aio
from grpc_status import rpc_status

from portico.errors import GatewayError
from portico.remote import RECEIPT, channel_options
from portico.status import to_status
from portico.testing.watch import Watch
from portico.v1 import gateway_pb2 as pb
from portico.v1.gateway_pb2_grpc import GatewayServiceServicer, add_GatewayServiceServicer_to_server
from portico.v1.receipt_pb2 import Receipt

Context: TypeAlias = aio.ServicerContext[Any, Any]

#: Answer with a message, wait for an event, end with an error in full or with a bare code.
Step: TypeAlias = Message | asyncio.Event | GatewayError | StatusCode


@dataclass(slots=True)
class Call:
    """A call as the server saw it."""

    request: Any
    metadata: dict[str, str | bytes]
    #: Seconds that the caller gave. None: as many as it takes.
    remaining: float | None
    #: None: it is running.
    cancelled: bool | None = None


class Service(GatewayServiceServicer):
    """Every call plays a script from its beginning."""

    def __init__(self) -> None:
        self.script: Sequence[Step] = ()
        #: Instead of ``script``, for requests of a type.
        self.scripts: dict[type[Message], Sequence[Step]] = {}
        #: Goes into the trailers of every call that ends.
        self.receipt: Receipt | None = None
        self.calls: list[Call] = []
        self._watch = Watch()

    async def received(self, count: int = 1) -> Call:
        """Wait until ``count`` calls have come; return the last one."""
        await self._watch.until(lambda: len(self.calls) >= count, f"{count} calls")
        return self.calls[-1]

    async def ended(self) -> Call:
        """Wait for the end of the last call."""
        call = await self.received()
        await self._watch.until(lambda: call.cancelled is not None, "the end of the call")
        return call

    async def _unary(self, request: Message, context: Context) -> Any:
        with self._recorded(request, context):
            async for message in self._play(request, context):
                return message
        raise AssertionError("the script has no message")

    # Coroutines that write: gRPC leaves a cancelled generator to the garbage collector.
    async def _streamed(self, request: Message, context: Context) -> None:
        with self._recorded(request, context):
            async for message in self._play(request, context):
                await context.write(message)

    Chat = Complete = Embed = ListModels = GetModel = GetStatus = _unary
    Stream = StreamComplete = _streamed  # type: ignore[assignment]

    async def _play(self, request: Message, context: Context) -> AsyncIterator[Message]:
        context.set_trailing_metadata(self._trailers())
        for step in self.scripts.get(type(request), self.script):
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, GatewayError):
                status = rpc_status.to_status(to_status(step))
                trailers = (*status.trailing_metadata, *self._trailers())
                await context.abort(status.code, status.details, trailers)
            elif isinstance(step, StatusCode):
                await context.abort(step, "no details")
            else:
                yield step

    def _trailers(self) -> tuple[tuple[str, bytes], ...]:
        return () if self.receipt is None else ((RECEIPT, self.receipt.SerializeToString()),)

    @contextmanager
    def _recorded(self, request: Message, context: Context) -> Iterator[None]:
        metadata = dict(context.invocation_metadata() or ())
        call = Call(request, metadata, context.time_remaining())
        self.calls.append(call)
        self._watch.changed()
        cancelled = False
        try:
            yield
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            call.cancelled = cancelled
            self._watch.changed()


@asynccontextmanager
async def serving(service: Service, folder: Path) -> AsyncIterator[str]:
    """Serve on a socket in ``folder`` while the block runs; yield the target."""
    server = aio.server(options=channel_options())
    add_GatewayServiceServicer_to_server(service, server)
    target = f"unix:{folder}/core.sock"
    server.add_insecure_port(target)
    await server.start()
    try:
        yield target
    finally:
        await server.stop(None)


def chat_stream(*texts: str, finish_reason: str | None = "stop") -> list[pb.StreamResponse]:
    """Return one response per text, the first one with its header and who serves it, and an end."""
    responses = [pb.StreamResponse() for _ in texts]
    for response, text in zip(responses, texts, strict=True):
        response.chunks.add().choices.add(index=0).delta.content = text
    first = responses[0]
    first.header.model, first.header.id = "gpt-4", "chatcmpl-1"
    first.served.backend, first.served.model = "local", "qwen"
    first.headers.add(name="x-ratelimit-remaining-requests", value=b"7")
    first.chunks[0].choices[0].delta.role = "assistant"
    if finish_reason:
        responses[-1].chunks.add().choices.add(index=0, finish_reason=finish_reason)
        responses[-1].chunks.add().usage.total_tokens = 9
    return responses
