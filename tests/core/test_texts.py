"""Text completions and embeddings: who serves them, and what is told where nobody can."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext, Gateway
from portico.v1.chunk_pb2 import ChunkHeader
from portico.v1.completions_pb2 import TextChoice, TextCompletion, TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList, EmbeddingParams
from portico.v1.gateway_pb2 import (
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
)
from portico.v1.receipt_pb2 import Outcome, Served
from tests.core.cases import BROKEN
from tests.support.core import (
    BINDINGS,
    USAGE,
    Binding,
    Script,
    Upstream,
    answer,
    ask,
    ask_stream,
    config,
    finish,
    role,
    text,
)

both_ways = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)


def params(**more: Any) -> TextCompletionParams:
    return TextCompletionParams(model="m", prompt=TextInput(text="Once"), **more)


def completed(content: str = "upon") -> CompleteResponse:
    """Return a backend's whole text."""
    choice = TextChoice(index=0, text=content, finish_reason="stop")
    return CompleteResponse(completion=TextCompletion(model="its own", choices=[choice], usage=USAGE))


def piece(content: str, finish_reason: str | None = None) -> StreamCompleteResponse:
    choice = TextChoice(index=0, text=content, finish_reason=finish_reason)
    return StreamCompleteResponse(chunks=[TextCompletion(choices=[choice])])


def embedded() -> EmbedResponse:
    embeddings = EmbeddingList(
        model="its own", data=[Embedding(doubles=DoubleVector(values=[0.5]))], usage=USAGE
    )
    return EmbedResponse(embeddings=embeddings)


def served(scripts: dict[str, Sequence[Script]], binding: Binding, *versatile: str) -> Any:
    upstreams = {name: Upstream(script) for name, script in scripts.items()}
    return binding(config(upstreams, versatile=versatile))


async def all_of(messages: AsyncGenerator[Any, None]) -> list[Any]:
    async with contextlib.aclosing(messages):
        return [message async for message in messages]


def texts(messages: Sequence[StreamCompleteResponse]) -> str:
    return "".join(choice.text for each in messages for chunk in each.chunks for choice in chunk.choices)


@both_ways
async def test_a_text_has_the_asked_name_an_id_and_a_time(binding: Binding) -> None:
    """And the receipt says who served it, after the first candidate broke off."""
    context = CallContext("r")
    async with served({"a": [[BROKEN]], "b": [[completed()]]}, binding, "a", "b") as gateway:
        response = await gateway.complete(CompleteRequest(params=params()), context)
    completion = response.completion
    assert (completion.model, completion.choices[0].text) == ("m", "upon")
    assert completion.id.startswith("cmpl-")
    assert completion.created > 1_700_000_000
    assert context.receipt is not None
    assert response.served == context.receipt.served == Served(backend="b", model="b-model")
    assert len(context.receipt.attempts) == 3
    assert context.receipt.usage == USAGE
    assert context.receipt.outcome == Outcome.OUTCOME_OK


@both_ways
async def test_a_streamed_text_commits_at_its_first_content(binding: Binding) -> None:
    """What an attempt sent before it is forgotten; the header has the asked name, an id and a time."""
    header = StreamCompleteResponse(header=ChunkHeader(model="its own"))
    empty, usage = piece(""), StreamCompleteResponse(chunks=[TextCompletion(usage=USAGE)])
    scripts: dict[str, Sequence[Script]] = {
        "a": [[header, empty, BROKEN]],
        "b": [[header, empty, piece("up"), piece("on", "stop"), usage]],
    }
    context = CallContext("r")
    async with served(scripts, binding, "a", "b") as gateway:
        messages = await all_of(gateway.stream_complete(StreamCompleteRequest(params=params()), context))
    assert texts(messages) == "upon"
    first = messages[0]
    assert first.header.model == "m"
    assert first.header.id.startswith("cmpl-")
    assert first.header.created > 1_700_000_000
    assert first.served.backend == "b"
    assert context.receipt is not None
    assert context.receipt.usage == USAGE


@both_ways
async def test_a_streamed_text_that_breaks_off_is_an_error(binding: Binding) -> None:
    """After its first content, and where no finish_reason comes."""
    async with served({"a": [[piece("up")]], "b": [[piece("other", "stop")]]}, binding, "a", "b") as gateway:
        with pytest.raises(GatewayError, match="broke off"):
            await all_of(gateway.stream_complete(StreamCompleteRequest(params=params()), CallContext("r")))


@both_ways
async def test_a_chat_serves_a_text_where_its_backend_has_no_completions(binding: Binding) -> None:
    """Whole and streamed; the prompt is a user's message, the answer is text."""
    async with served({"a": [[answer()], [role(), text("hel", "lo"), finish()]]}, binding) as gateway:
        whole = await gateway.complete(CompleteRequest(params=params(n=2)), CallContext("r"))
        streamed = await all_of(
            gateway.stream_complete(StreamCompleteRequest(params=params()), CallContext("r"))
        )
    assert whole.completion.choices == [TextChoice(index=0, text="hello", finish_reason="stop")]
    assert (whole.completion.model, whole.completion.usage) == ("m", USAGE)
    assert texts(streamed) == "hello"
    assert streamed[0].header.model == "m"
    assert streamed[-1].chunks[-1].usage == USAGE


@both_ways
async def test_what_a_chat_cannot_do_goes_to_the_candidate_that_can(binding: Binding) -> None:
    """Without an attempt at the other; where none can it is refused by name."""
    context = CallContext("r")
    scripts: dict[str, Sequence[Script]] = {"a": [[answer()]], "b": [[completed()]]}
    async with served(scripts, binding, "b") as gateway:
        response = await gateway.complete(CompleteRequest(params=params(echo=True)), context)
        assert response.served.backend == "b"
        assert context.receipt is not None
        assert [each.candidate.backend for each in context.receipt.attempts] == ["b"]
    async with served(scripts, binding) as gateway:
        with pytest.raises(GatewayError, match="no completions endpoint") as refused:
            await gateway.complete(CompleteRequest(params=params(echo=True)), context)
    assert (refused.value.http_status, refused.value.param) == (400, "echo")


@both_ways
async def test_embeddings_come_from_the_candidate_that_embeds(binding: Binding) -> None:
    """And where none does the error says so."""
    request = EmbedRequest(params=EmbeddingParams(model="m", input=TextInput(text="a")))
    context = CallContext("r")
    async with served({"a": [[answer()]], "b": [[embedded()]]}, binding, "b") as gateway:
        response = await gateway.embed(request, context)
    assert response.embeddings.model == "m"
    assert response.embeddings.data[0].doubles.values == [0.5]
    assert not response.embeddings.HasField("id")
    assert response.served.backend == "b"
    assert context.receipt is not None
    assert context.receipt.usage == USAGE
    async with served({"a": [[answer()]]}, binding) as gateway:
        with pytest.raises(GatewayError, match="no embeddings endpoint") as refused:
            await gateway.embed(request, context)
    assert (refused.value.http_status, refused.value.code) == (501, "not_supported")


@pytest.mark.parametrize("empty", [completed(""), CompleteResponse(completion=TextCompletion(usage=USAGE))])
async def test_an_answer_without_choices_is_none(empty: CompleteResponse) -> None:
    """An empty text with an end is one: a model may have nothing to add."""
    async with served({"a": [[empty]]}, BINDINGS["direct"], "a") as gateway:
        if empty.completion.choices:
            assert (await gateway.complete(CompleteRequest(params=params()), CallContext("r"))).served
            return
        with pytest.raises(GatewayError, match="without content"):
            await gateway.complete(CompleteRequest(params=params()), CallContext("r"))


REFUSED = {
    "no model": (TextCompletionParams(prompt=TextInput(text="a")), "model"),
    "no prompt": (TextCompletionParams(model="m"), "prompt"),
    "no form": (TextCompletionParams(model="m", prompt=TextInput()), "prompt"),
    "no texts": (TextCompletionParams(model="m", prompt=TextInput(texts=TextList())), "prompt"),
    "hidden": (params(extra_json='{"n": 1000}'), "n"),
    "stream": (params(extra_json='{"stream": true}'), "stream"),
}


@pytest.mark.parametrize(("asked", "param"), REFUSED.values(), ids=REFUSED)
async def test_what_no_backend_could_answer_is_refused(asked: TextCompletionParams, param: str) -> None:
    """Before anything is sent."""
    async with served({"a": [[completed()]]}, BINDINGS["direct"], "a") as gateway:
        with pytest.raises(GatewayError) as refused:
            await gateway.complete(CompleteRequest(params=asked), CallContext("r"))
    assert (refused.value.http_status, refused.value.param) == (400, param)


async def test_embeddings_without_input_are_refused() -> None:
    """Before anything is sent."""
    async with served({"a": [[embedded()]]}, BINDINGS["direct"], "a") as gateway:
        with pytest.raises(GatewayError, match="input"):
            await gateway.embed(EmbedRequest(params=EmbeddingParams(model="m")), CallContext("r"))


@both_ways
async def test_a_chat_has_an_id_and_a_time_where_its_backend_gives_none(binding: Binding) -> None:
    """Whole and streamed, and the same from the first chunk to the last."""
    whole, begin, again = answer(), role(), text("lo")
    for each in (whole.completion, begin.header):
        each.ClearField("id")
        each.ClearField("created")
    again.header.system_fingerprint = "new"
    async with served({"a": [[whole], [begin, text("hel"), again, finish()]]}, binding) as gateway:
        checked: Gateway = gateway
        completion = (await checked.chat(ask(), CallContext("r"))).completion
        messages = await all_of(checked.stream(ask_stream(), CallContext("r")))
    for each in (completion, messages[0].header):
        assert each.id.startswith("chatcmpl-")
        assert each.created > 1_700_000_000
    headers = [each.header for each in messages if each.HasField("header")]
    assert len(headers) == 2
    assert len({(header.id, header.created) for header in headers}) == 1
