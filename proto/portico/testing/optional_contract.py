"""What an adapter must keep besides where it has the optional protocols. Mixed into its test class::

class TestEcho(AdapterContract, CompletesContract, EmbedsContract):
    exchanges = [Exchange(UpstreamCall(params, model="echo-1"))]
    texts = [Exchange(CompletionCall(text_params, model="echo-1"))]
    embeddings = [Exchange(EmbeddingCall(embedding_params, model="echo-1"))]
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Protocol

from portico.adapter import Adapter, Completes, Embeds
from portico.testing.contract import Exchange, streaming, unstreamed
from portico.testing.upstream import Answerer, Upstream
from portico.v1.completions_pb2 import TextInput
from portico.v1.gateway_pb2 import StreamCompleteResponse


class Against(Protocol):
    """What ``AdapterContract`` gives."""

    def against(self, *answers: Answerer) -> AbstractAsyncContextManager[tuple[Adapter, Upstream]]:
        """Yield an adapter and its backend, which gives these answers."""
        ...


class CompletesContract:
    """What holds for every adapter that serves text completions."""

    #: At least one; the bodies are the same answer unstreamed and streamed.
    texts: Sequence[Exchange]

    def test_a_streamed_text_amounts_to_the_unstreamed_one(self: Any) -> None:
        """The same texts, finish reasons and usage, under a header; the call stays as it is."""
        assert self.texts, "no exchange to test with"
        for exchange in self.texts:
            asyncio.run(_compare(self, exchange))


class EmbedsContract:
    """What holds for every adapter that serves embeddings."""

    #: At least one, with an input of text.
    embeddings: Sequence[Exchange]

    def test_each_text_has_its_vector(self: Any) -> None:
        """In the order of the input, all of one length, with the prompt's tokens counted."""
        assert self.embeddings, "no exchange to test with"
        for exchange in self.embeddings:
            asyncio.run(_embed(self, exchange))


async def _compare(suite: Against, exchange: Exchange) -> None:
    before = exchange.call.params.SerializeToString(deterministic=True)
    async with suite.against(unstreamed(exchange), streaming(exchange)) as (adapter, _):
        assert isinstance(adapter, Completes), "a member of portico.adapter.Completes is missing"
        whole = (await adapter.complete(exchange.call)).completion
        async with aclosing(adapter.stream_complete(exchange.call)) as source:
            messages = [message async for message in source]
    assert messages[0].HasField("header"), "the first message has no header"
    told = {choice.index: (choice.text, choice.finish_reason) for choice in whole.choices}
    assert told, "an answer without choices"
    assert _joined(messages) == told, f"{messages} is not {whole.choices}"
    usages = [chunk.usage for each in messages for chunk in each.chunks if chunk.HasField("usage")]
    assert usages[-1:] == [whole.usage], f"{usages} is not {whole.usage}"
    assert whole.usage.prompt_tokens > 0, f"no usage: {whole.usage}"
    assert exchange.call.params.SerializeToString(deterministic=True) == before


def _joined(messages: Sequence[StreamCompleteResponse]) -> dict[int, tuple[str, str]]:
    """Return text and finish reason of each choice of a stream."""
    found: dict[int, tuple[str, str]] = {}
    for choice in (each for message in messages for chunk in message.chunks for each in chunk.choices):
        text, reason = found.get(choice.index, ("", ""))
        found[choice.index] = (text + choice.text, choice.finish_reason or reason)
    return found


async def _embed(suite: Against, exchange: Exchange) -> None:
    async with suite.against(unstreamed(exchange)) as (adapter, _):
        assert isinstance(adapter, Embeds), "a member of portico.adapter.Embeds is missing"
        answer = (await adapter.embed(exchange.call)).embeddings
    texts = _texts(exchange.call.params.input)
    assert [each.index for each in answer.data] == list(range(len(texts))), f"{texts} gave {answer.data}"
    lengths = {len(each.doubles.values) or len(each.float32_le) // 4 for each in answer.data}
    assert len(lengths) == 1, f"vectors of several lengths: {lengths}"
    assert lengths != {0}, "vectors without components"
    assert answer.usage.prompt_tokens > 0, f"no usage: {answer.usage}"


def _texts(given: TextInput) -> Sequence[str]:
    return [given.text] if given.WhichOneof("value") == "text" else given.texts.values
