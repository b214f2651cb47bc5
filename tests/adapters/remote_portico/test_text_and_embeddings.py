"""Text completions and embeddings of another core: the same care as for chat."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode, aio

from portico.adapter import Upstream
from portico.errors import ErrorClass, GatewayError
from portico.remote import channel_options
from portico.testing.watch import Signs
from portico.v1.chunk_pb2 import ChunkHeader
from portico.v1.completions_pb2 import TextChoice, TextCompletion, TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import Embedding, EmbeddingList, EmbeddingParams
from portico.v1.gateway_pb2 import (
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
)
from portico.v1.gateway_pb2_grpc import GatewayServiceServicer, add_GatewayServiceServicer_to_server
from portico_adapters.remote_portico import RemotePorticoAdapter
from tests.adapters.remote_portico.gateways import calling

WHOLE = CompleteResponse(
    completion=TextCompletion(id="c", choices=[TextChoice(text="hi", finish_reason="stop")])
)
PIECES = [
    StreamCompleteResponse(
        header=ChunkHeader(id="c"), chunks=[TextCompletion(choices=[TextChoice(text="h")])]
    ),
    StreamCompleteResponse(chunks=[TextCompletion(choices=[TextChoice(text="i", finish_reason="stop")])]),
]
VECTORS = EmbedResponse(embeddings=EmbeddingList(data=[Embedding(index=0, float32_le=b"\0\0\0\0")]))


class Core(GatewayServiceServicer):
    """Answers what it is told to, and keeps what it was asked."""

    # ruff: noqa: N802 - the names are the contract's

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.failing = False

    async def _take(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        if self.failing:
            await context.abort(StatusCode.UNAVAILABLE, "gone to 10.0.0.1")

    async def Complete(self, request: CompleteRequest, context: Any) -> CompleteResponse:
        await self._take(request, context)
        return WHOLE

    async def StreamComplete(
        self, request: StreamCompleteRequest, context: Any
    ) -> AsyncIterator[StreamCompleteResponse]:
        await self._take(request, context)
        for piece in PIECES:
            yield piece

    async def Embed(self, request: EmbedRequest, context: Any) -> EmbedResponse:
        await self._take(request, context)
        return VECTORS


@asynccontextmanager
async def core(folder: Path) -> AsyncIterator[tuple[RemotePorticoAdapter, Core]]:
    """Serve a scripted core; yield an adapter that calls it."""
    servicer = Core()  # type: ignore[abstract]
    server = aio.server(options=channel_options())
    add_GatewayServiceServicer_to_server(servicer, server)
    target = f"unix:{folder}/core.sock"
    server.add_insecure_port(target)
    await server.start()
    try:
        async with calling(target) as adapter:
            yield adapter, servicer
    finally:
        await server.stop(None)


async def _complete(adapter: RemotePorticoAdapter, alive: Signs) -> list[Any]:
    params = TextCompletionParams(model="asked for", prompt=TextInput(text="a"))
    return [await adapter.complete(Upstream(params, "m", alive=alive))]


async def _stream(adapter: RemotePorticoAdapter, alive: Signs) -> list[Any]:
    params = TextCompletionParams(model="asked for", prompt=TextInput(text="a"))
    return [message async for message in adapter.stream_complete(Upstream(params, "m", alive=alive))]


async def _embed(adapter: RemotePorticoAdapter, alive: Signs) -> list[Any]:
    return [await adapter.embed(Upstream(EmbeddingParams(model="asked for"), "m", alive=alive))]


WAYS: dict[str, tuple[Callable[[RemotePorticoAdapter, Signs], Coroutine[Any, Any, list[Any]]], list[Any]]] = {
    "whole": (_complete, [WHOLE]),
    "streamed": (_stream, list(PIECES)),
    "embeddings": (_embed, [VECTORS]),
}


@pytest.mark.parametrize(("way", "expected"), WAYS.values(), ids=WAYS)
async def test_the_answer_comes_as_it_is(way: Any, expected: list[Any], tmp_path: Path) -> None:
    """The other core is asked under its own name for the model, and every message is a sign of life."""
    alive = Signs()
    async with core(tmp_path) as (adapter, servicer):
        assert await way(adapter, alive) == expected
    (asked,) = servicer.asked
    assert asked.params.model == "m"
    assert [each.name for each in asked.headers] == ["x-portico-hops"]
    assert alive.count == len(expected)


@pytest.mark.parametrize("way", [way for way, _ in WAYS.values()], ids=WAYS)
async def test_a_failure_is_the_backends(way: Any, tmp_path: Path) -> None:
    """In words that name no address."""
    async with core(tmp_path) as (adapter, servicer):
        servicer.failing = True
        with pytest.raises(GatewayError) as caught:
            await way(adapter, Signs())
    assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.UPSTREAM, 502)
    assert "10.0.0.1" not in caught.value.message
    assert "10.0.0.1" in caught.value.detail
