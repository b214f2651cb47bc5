"""Streams arrive chunk by chunk, end as they should, and stop the server when they are left."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from portico.client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    InternalServerError,
    StreamClosedError,
    UnavailableError,
)
from portico.errors import upstream_failed
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.receipt_pb2 import Receipt, Served
from tests.proto.client.service import Service, chat_stream


async def test_chunks_arrive_one_by_one_and_the_receipt_at_the_end(client: Any, service: Service) -> None:
    """Who serves, the header and the backend's headers are there from the first chunk on."""
    service.script = responses = chat_stream("once ", "upon")
    service.receipt = Receipt(request_id="r1")
    stream = client.stream("gpt-4", "hello", request_id="r1")
    assert stream.request_id == "r1"
    assert stream.served == Served()
    chunks = []
    async for chunk in stream:
        chunks.append(chunk)
        assert stream.served == Served(backend="local", model="qwen")
        assert (stream.header.id, stream.header.model) == ("chatcmpl-1", "gpt-4")
        assert stream.headers == {"x-ratelimit-remaining-requests": b"7"}
    assert chunks == [chunk for response in responses for chunk in response.chunks]
    assert stream.receipt == service.receipt
    assert service.calls[0].metadata["x-request-id"] == "r1"
    assert service.calls[0].request.params.messages[0].content == "hello"


async def test_the_first_chunk_does_not_wait_for_the_second(client: Any, service: Service) -> None:
    go_on = asyncio.Event()
    first, second = chat_stream("once ", "upon")
    service.script = [first, go_on, second]
    async with client.stream("gpt-4", "hello") as stream, aclosing(stream.text()) as texts:
        assert await anext(texts) == "once "
        assert stream.receipt is None
        go_on.set()
        assert [text async for text in texts] == ["upon"]


async def test_text_is_the_first_choices(client: Any, service: Service) -> None:
    """Pieces without text, and other choices, are left out."""
    service.script = responses = chat_stream("once ", "upon")
    responses[0].chunks[0].choices.add(index=1).delta.content = "elsewhere"
    async with client.stream("gpt-4", "hello") as stream:
        assert [text async for text in stream.text()] == ["once ", "upon"]


async def test_the_answer_is_what_chat_would_return(client: Any, service: Service) -> None:
    """Chunks that were read before are in it."""
    service.script = chat_stream("once ", "upon")
    service.receipt = Receipt(request_id="r1")
    stream = client.stream("gpt-4", "hello", request_id="r1")
    await anext(stream)
    answer = await stream.answer()
    assert answer.text == "once upon"
    assert answer.message.role == "assistant"
    assert answer.completion.choices[0].finish_reason == "stop"
    assert answer.completion.usage.total_tokens == 9
    assert (answer.completion.id, answer.completion.model) == ("chatcmpl-1", "gpt-4")
    assert answer.served.backend == "local"
    assert answer.headers == {"x-ratelimit-remaining-requests": b"7"}
    assert (answer.request_id, answer.receipt) == ("r1", service.receipt)


async def test_a_text_completion_streams_too(client: Any, service: Service) -> None:
    pieces = [TextCompletion(), TextCompletion()]
    pieces[0].choices.add(index=0, text=" upon")
    pieces[0].choices.add(index=1, text=" other")
    pieces[1].choices.add(index=0, text=" a time")
    # Ready together, so in one message.
    service.script = [StreamCompleteResponse(chunks=pieces, served=Served(backend="local"))]
    service.receipt = Receipt(request_id="r1")
    stream = client.stream_complete("base", "Once")
    assert await anext(stream) == pieces[0]
    assert stream.served.backend == "local"
    assert [text async for text in stream.text()] == [" a time"]
    assert stream.receipt == service.receipt
    assert service.calls[0].request.params.prompt.text == "Once"
    assert [text async for text in client.stream_complete("base", "Once").text()] == [" upon", " a time"]


async def test_an_error_in_mid_stream_is_raised_after_what_came(client: Any, service: Service) -> None:
    """And again by whoever reads on: a broken stream never looks like one that ended."""
    service.script = [*chat_stream("once ", finish_reason=None), upstream_failed("The backend broke off.")]
    service.receipt = Receipt(request_id="r1")
    stream = client.stream("gpt-4", "hello")
    assert (await anext(stream)).choices[0].delta.content == "once "
    for _ in range(2):
        with pytest.raises(InternalServerError, match="broke off") as caught:
            await anext(stream)
        assert (caught.value.http_status, caught.value.receipt) == (502, service.receipt)
    with pytest.raises(InternalServerError):
        await stream.answer()
    assert stream.receipt == service.receipt


async def test_the_deadline_holds_to_the_end_of_a_stream(client: Any, service: Service) -> None:
    service.script = [*chat_stream("once "), asyncio.Event()]
    stream = client.stream("gpt-4", "hello", timeout=0.3)
    await anext(stream)
    with pytest.raises(DeadlineExceededError):
        await stream.answer()
    assert (await service.ended()).cancelled


async def test_leaving_the_block_cancels_the_call(client: Any, service: Service) -> None:
    service.script = [*chat_stream("once "), asyncio.Event()]
    async with client.stream("gpt-4", "hello") as stream:
        await anext(stream)
    assert (await service.ended()).cancelled


async def test_an_exception_in_the_block_cancels_the_call(client: Any, service: Service) -> None:
    service.script = [*chat_stream("once "), asyncio.Event()]

    async def fail_on_the_first_chunk() -> None:
        async with client.stream("gpt-4", "hello") as stream:
            raise ZeroDivisionError(await anext(stream))

    with pytest.raises(ZeroDivisionError):
        await fail_on_the_first_chunk()
    assert (await service.ended()).cancelled


async def test_a_dropped_stream_cancels_the_call(client: Any, service: Service) -> None:
    """As after a bare ``for … break``."""
    service.script = [*chat_stream("once "), asyncio.Event()]
    stream = client.stream("gpt-4", "hello")
    await anext(stream)
    del stream
    assert (await service.ended()).cancelled


async def test_a_closed_stream_cannot_be_read_on(client: Any, service: Service) -> None:
    """What it had in hand is gone too, so that nobody takes the rest for all."""
    first = StreamResponse()
    first.MergeFrom(chat_stream("once ")[0])
    service.script = [first, asyncio.Event()]
    stream = client.stream("gpt-4", "hello")
    await anext(stream)
    await stream.aclose()
    for _ in range(2):
        with pytest.raises(StreamClosedError):
            await anext(stream)
    with pytest.raises(StreamClosedError):
        await stream.answer()


async def test_a_stream_that_was_read_out_may_be_closed(client: Any, service: Service) -> None:
    service.script = chat_stream("once ")
    async with client.stream("gpt-4", "hello") as stream:
        answer = await stream.answer()
    assert [chunk async for chunk in stream] == []
    assert (await stream.answer()).completion == answer.completion


async def test_another_thread_may_close_a_stream(target: str, service: Service) -> None:
    """The read under way says that it was closed, and the server hears of it."""
    service.script = [asyncio.Event()]
    with Client(target) as client:
        stream = client.stream("gpt-4", "hello")
        reading = asyncio.create_task(asyncio.to_thread(stream.answer))
        await service.received()
        stream.close()
        with pytest.raises(StreamClosedError):
            await asyncio.wait_for(reading, 5)
    assert (await service.ended()).cancelled


async def test_closing_the_client_ends_its_calls(target: str, service: Service) -> None:
    """A call under way in another thread fails rather than hangs."""
    service.script = [asyncio.Event()]
    client = Client(target)
    calling = asyncio.create_task(asyncio.to_thread(client.chat, "gpt-4", "hello"))
    await service.received()
    client.close()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(calling, 5)
    assert (await service.ended()).cancelled


@pytest.mark.parametrize("streamed", [False, True])
async def test_closing_the_async_client_ends_its_calls(target: str, service: Service, streamed: bool) -> None:
    """They fail; their tasks are not cancelled, since nobody did that."""
    service.script = [asyncio.Event()]
    client = AsyncClient(target)
    call = client.stream("gpt-4", "hello").answer() if streamed else client.chat("gpt-4", "hello")
    calling = asyncio.create_task(call)
    await service.received()
    await client.aclose()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(calling, 5)
    assert (await service.ended()).cancelled


@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelling_a_task_cancels_its_call(target: str, service: Service, streamed: bool) -> None:
    service.script = [asyncio.Event()]
    async with AsyncClient(target) as client:
        call = client.stream("gpt-4", "hello").answer() if streamed else client.chat("gpt-4", "hello")
        task = asyncio.create_task(call)
        await service.received()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await service.ended()).cancelled


async def test_a_cancelled_read_is_no_end(target: str, service: Service) -> None:
    """A limit on one read cancels the call; reading on does not look like a clean end."""
    service.script = [*chat_stream("once "), asyncio.Event()]
    async with AsyncClient(target) as client:
        stream = client.stream("gpt-4", "hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stream.answer()
        with pytest.raises(StreamClosedError):
            await anext(stream)


def test_an_async_client_may_be_made_before_its_loop() -> None:
    """As at import. Its channel belongs to the loop of the first call."""
    client = AsyncClient("unix:/nowhere")

    async def call() -> None:
        async with client:
            with pytest.raises(UnavailableError):
                await client.status()

    asyncio.run(call())
