"""Who asks hears of the attempts of a stream, and may let it start over."""

from typing import Any

import pytest

from portico.v1.events_pb2 import AttemptEvent, AttemptEventKind, DiscardedText
from portico.v1.gateway_pb2 import StreamResponse
from tests.proto.client.service import Service, chat_stream

STARTED = AttemptEvent(kind=AttemptEventKind.ATTEMPT_EVENT_KIND_STARTED, attempt=1)
RESTARTED = AttemptEvent(
    kind=AttemptEventKind.ATTEMPT_EVENT_KIND_RESTARTED, attempt=2, discarded=[DiscardedText(text="once ")]
)


async def test_nothing_is_asked_for_by_default(client: Any, service: Service) -> None:
    service.script = chat_stream("once ", "upon")
    async with client.stream("gpt-4", "hello") as stream:
        await stream.answer()
    request = service.calls[0].request
    assert (request.events, request.restart) == (False, False)


async def test_events_come_before_the_chunks_that_follow_them(client: Any, service: Service) -> None:
    first, second = chat_stream("once ", "upon")
    service.script = [StreamResponse(events=[STARTED]), first, second]
    seen: list[object] = []
    async with client.stream("gpt-4", "hello", on_event=seen.append) as stream:
        async for piece in stream.text():
            seen.append(piece)  # noqa: PERF401 - events come in between
    assert seen == [STARTED, "once ", "upon"]
    assert service.calls[0].request.events


async def test_an_answer_that_starts_over_is_the_second_alone(client: Any, service: Service) -> None:
    first, _ = chat_stream("once ", "upon")
    again, end = chat_stream("twice ", "upon")
    again.events.append(RESTARTED)
    service.script = [first, again, end]
    seen: list[AttemptEvent] = []
    async with client.stream("gpt-4", "hello", on_event=seen.append, restart=True) as stream:
        answer = await stream.answer()
    assert answer.text == "twice upon"
    assert seen == [RESTARTED]
    assert service.calls[0].request.restart


async def test_what_is_done_with_an_event_may_fail(client: Any, service: Service) -> None:
    service.script = [StreamResponse(events=[STARTED]), *chat_stream("once ", "upon")]

    def fail(_event: AttemptEvent) -> None:
        raise LookupError

    async with client.stream("gpt-4", "hello", on_event=fail) as stream:
        with pytest.raises(LookupError):
            await stream.answer()
