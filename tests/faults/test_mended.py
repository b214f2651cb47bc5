"""What ``broken``, ``hedge``, attempt events and restarts make of faults, through processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from grpc import aio

from portico.gateway import CallContext
from portico.remote import RemoteGateway, options_for
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.events_pb2 import AttemptEventKind
from portico.v1.gateway_pb2 import StreamRequest, StreamResponse
from tests.faults.doors import Door, doors, warm
from tests.faults.mended import ROWS
from tests.faults.mended_calls import complaints, model, stand
from tests.faults.scripts import TEXT
from tests.faults.stand import Stand, as_before

#: Models that are asked over gRPC alone: what the first candidate does, and the model's policy.
_TOLD = {
    "restarts": ("cut_after_content", "broken: error"),
    "races": ("headers_then_silence", "hedge: 100ms"),
}


@pytest.fixture(scope="module")
def mending(tmp_path_factory: pytest.TempPathFactory, layout: str) -> Iterator[Stand]:
    """A gateway that has a model per call; its halves have no more tasks in the end than they had."""
    further = {
        f"{name}{each}": fault
        for name, (first, _) in _TOLD.items()
        for each, fault in (("", first), ("-2", "healthy"))
    }
    models = [model(name, (name, f"{name}-2"), policy) for name, (_, policy) in _TOLD.items()]
    with stand(tmp_path_factory.mktemp("mended"), further, models, layout) as running:
        halves = (running.core, running.facade)
        asyncio.run(warm(running, "races-2/m"))
        tasks = [half.tasks() for half in halves]
        yield running
        for half, before in zip(halves, tasks, strict=True):
            asyncio.run(as_before(half, before))


@pytest.fixture
async def ways(mending: Stand) -> AsyncIterator[dict[str, Door]]:
    """The ways into it, by name."""
    async with doors(mending.facade.address, mending.core.address) as opened:
        yield opened


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{each.policy[8:]}-{each.first}" for each in ROWS])
async def test_what_comes_of_a_fault_that_is_mended(
    number: int, mending: Stand, ways: dict[str, Door]
) -> None:
    """The caller sees what the table says, each candidate is called as often, and nothing is left."""
    assert not await complaints(mending, ways, number)


async def _stream(running: Stand, name: str) -> tuple[list[StreamResponse], CallContext]:
    """Ask for everything that a caller of gRPC may hear of."""
    params, context = ChatCompletionParams(model=name), CallContext("")
    params.messages.add(role="user", content="hello")
    address = running.core.address
    async with aio.insecure_channel(address, options=options_for(address)) as channel:
        request = StreamRequest(params=params, events=True, restart=True)
        responses = [each async for each in RemoteGateway(channel).stream(request, context)]
    await running.quiet()
    return responses, context


def _events(responses: list[StreamResponse]) -> list[tuple[str, str]]:
    return [
        (AttemptEventKind.Name(event.kind)[19:], event.candidate.backend)
        for response in responses
        for event in response.events
    ]


def _text(responses: list[StreamResponse]) -> str:
    return "".join(
        choice.delta.content for each in responses for chunk in each.chunks for choice in chunk.choices
    )


async def test_an_answer_that_starts_over_for_a_caller_of_grpc(mending: Stand) -> None:
    """Each attempt is told as it starts, has content and fails; a restart names the text to throw away."""
    responses, context = await _stream(mending, "restarts")
    first, second = "restarts", "restarts-2"
    assert _events(responses) == [
        ("STARTED", first), ("COMMITTED", first), ("FAILED", first),
        ("STARTED", first), ("COMMITTED", first), ("RESTARTED", first), ("FAILED", first),
        ("STARTED", second), ("COMMITTED", second), ("RESTARTED", second),
    ]  # fmt: skip
    restarts = [number for number, each in enumerate(responses) if each.events and each.events[-1].discarded]
    assert [responses[number].events[-1].discarded[0].text for number in restarts] == ["one", "one"]
    assert _text(responses[restarts[-1] :]) == TEXT
    assert context.receipt is not None
    assert [each.unpriced for each in context.receipt.attempts] == [True, True, False]


async def test_a_race_as_a_caller_of_grpc_hears_of_it(mending: Stand) -> None:
    """Both starts are told, the winner's content, and that the other was left, at a cost unknown."""
    responses, context = await _stream(mending, "races")
    told = _events(responses)
    assert told[:2] == [("STARTED", "races"), ("STARTED", "races-2")]
    assert sorted(told[2:]) == [("COMMITTED", "races-2"), ("FAILED", "races")]
    assert _text(responses) == TEXT
    assert context.receipt is not None
    found = {each.candidate.backend: (each.reason, each.unpriced) for each in context.receipt.attempts}
    assert found == {"races": ("hedged", True), "races-2": ("", False)}
    unpriced = mending.core.samples("portico_attempts_unpriced_total")
    assert unpriced['portico_attempts_unpriced_total{backend="races"}'] == 1
