"""The kinds of calls that Portico serves, and how each is made of an adapter."""

from contextlib import aclosing
from enum import Enum
from typing import Final

from portico.adapter import Adapter, Completes, CompletionCall, EmbeddingCall, Embeds, UpstreamCall
from portico.errors import GatewayError
from portico.testing.assemble import assemble
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.message_pb2 import ChatMessage
from tests.recorded import outcome
from tests.recorded.outcome import Outcome
from tests.support.corpus import Case


class Kind(Enum):
    """What is asked of a backend."""

    CHAT = "chat"
    TEXT = "text completions"
    EMBEDDINGS = "embeddings"
    MODELS = "models"


#: The model that is asked for; a judge asks for the same. The replay server does not look at it.
MODEL: Final = "m"


async def read_by(adapter: Adapter, case: Case, kind: Kind) -> Outcome:
    """Return what the adapter makes of a case, streamed where the case is."""
    try:
        return await _CALLS[kind](adapter, case)
    except GatewayError as error:
        return outcome.of_error(error)


async def _chat(adapter: Adapter, case: Case) -> Outcome:
    messages = [ChatMessage(role="user", content="x")]
    call = UpstreamCall(ChatCompletionParams(model=MODEL, messages=messages), MODEL)
    if not case.stream:
        return outcome.of_completion((await adapter.chat(call)).completion)
    async with aclosing(adapter.stream(call)) as answer:
        return outcome.of_completion(assemble([message async for message in answer]))


async def _text(adapter: Adapter, case: Case) -> Outcome:
    assert isinstance(adapter, Completes)
    call = CompletionCall(TextCompletionParams(model=MODEL, prompt=TextInput(text="x")), MODEL)
    if not case.stream:
        return outcome.of_text((await adapter.complete(call)).completion)
    async with aclosing(adapter.stream_complete(call)) as answer:
        return outcome.of_text_stream([message async for message in answer])


async def _embed(adapter: Adapter, case: Case) -> Outcome:
    assert isinstance(adapter, Embeds)
    texts = TextInput(texts=TextList(values=texts_of(case)))
    params = EmbeddingParams(model=MODEL, input=texts, encoding_format=encoding_of(case))
    call = EmbeddingCall(params, MODEL)
    return outcome.of_embeddings((await adapter.embed(call)).embeddings)


async def _models(adapter: Adapter, _: Case) -> Outcome:
    return outcome.of_models(await adapter.list_models(()))


_CALLS: Final = {Kind.CHAT: _chat, Kind.TEXT: _text, Kind.EMBEDDINGS: _embed, Kind.MODELS: _models}


def texts_of(case: Case) -> list[str]:
    """Return the texts of a recorded request for embeddings: adapters count what comes back for them."""
    request = case.request or {}
    texts = request.get("input", request.get("texts", request.get("inputs", "x")))
    texts = texts if isinstance(texts, list) else [texts]
    return [text if isinstance(text, str) else "x" for text in texts]


def encoding_of(case: Case) -> str:
    """Return the ``encoding_format`` that was asked for; OpenAI's default where none was."""
    return (case.request or {}).get("encoding_format") or "float"
