"""The RPCs that ask a backend: what each has of its own. All else of a dispatch they share."""

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Generic, TypeAlias, TypeVar

from portico.adapter import Adapter, Embeds, Upstream
from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError
from portico.runs import RunReader
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.events_pb2 import AttemptEvent
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.usage_pb2 import Usage
from portico_core.progress import has_content, has_text, says_something
from portico_core.text_endpoint import TextEndpoints

R = TypeVar("R", ChatResponse, CompleteResponse, EmbedResponse)
S = TypeVar("S", StreamResponse, StreamCompleteResponse)

#: An adapter's method, bound to it.
Method: TypeAlias = Callable[[Upstream[Any]], Awaitable[R]]
StreamMethod: TypeAlias = Callable[[Upstream[Any]], AsyncGenerator[S, None]]


@dataclass(frozen=True)
class Unary(Generic[R]):
    """An RPC with one answer."""

    #: Finds what an adapter answers certain parameters with; raises GatewayError where it cannot.
    method: Callable[[Adapter, Any], Method[R]]
    #: The part of a response that a backend wrote.
    answer: Callable[[R], Any]
    #: Whether a response answers.
    answers: Callable[[R], bool]
    #: How the ids begin that backends of their own dialect do not give. None: answers have no id.
    id_prefix: str | None


@dataclass(frozen=True)
class Streaming(Generic[S]):
    """An RPC with a streamed answer."""

    #: As that of ``Unary``.
    method: Callable[[Adapter, Any], StreamMethod[S]]
    #: Tells a choice with content from one that keeps a connection open.
    has_content: Callable[[Any], bool]
    #: A choice's field for its text.
    text_of: Callable[[Any], str]
    #: Makes what finds the runs of text in the messages of one stream: ``RunReader.texts``.
    runs: Callable[[], Callable[[S], tuple[Sequence[bytes], bool]]]
    #: The message that tells a stream's usage.
    telling: Callable[[Usage], S]
    #: The message that tells what became of attempts.
    events: Callable[[Sequence[AttemptEvent]], S]
    id_prefix: str


class Identity:
    """The id and the time of one answer, for a backend that gives none: made when they are missed."""

    __slots__ = ("_created", "_id", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._id = ""
        self._created = 0

    def fill(self, answer: ChatCompletion | TextCompletion | ChunkHeader) -> None:
        """Put in what is missing: the same in every part of the answer."""
        if not answer.HasField("id"):
            self._id = self._id or f"{self._prefix}{secrets.token_hex(12)}"
            answer.id = self._id
        if not answer.HasField("created"):
            self._created = self._created or int(time.time())
            answer.created = self._created


def _embed(adapter: Adapter, _params: object) -> Method[EmbedResponse]:
    if isinstance(adapter, Embeds):
        return adapter.embed
    message = "The backend of this model has no embeddings endpoint."
    raise GatewayError(ErrorClass.CALLER, 501, message, INVALID_REQUEST, "not_supported", "model")


CHAT: Final = Unary[ChatResponse](
    method=lambda adapter, _: adapter.chat,
    answer=attrgetter("completion"),
    answers=lambda response: says_something(response.completion.choices, "message"),
    id_prefix="chatcmpl-",
)
EMBED: Final = Unary[EmbedResponse](
    method=_embed,
    answer=attrgetter("embeddings"),
    answers=lambda response: bool(response.embeddings.data),
    id_prefix=None,
)
STREAM: Final = Streaming[StreamResponse](
    method=lambda adapter, _: adapter.stream,
    has_content=has_content,
    text_of=attrgetter("delta.content"),
    runs=lambda: RunReader().texts,
    telling=lambda usage: StreamResponse(chunks=[ChatChunk(usage=usage)]),
    events=lambda events: StreamResponse(events=events),
    id_prefix="chatcmpl-",
)


def complete(endpoints: TextEndpoints) -> Unary[CompleteResponse]:
    """Return the RPC over the endpoints that a gateway's backends have."""
    return Unary(
        method=endpoints.complete,
        answer=attrgetter("completion"),
        answers=lambda response: says_something(response.completion.choices, "text"),
        id_prefix="cmpl-",
    )


def stream_complete(endpoints: TextEndpoints) -> Streaming[StreamCompleteResponse]:
    """``complete``, streamed."""
    return Streaming(
        method=endpoints.stream,
        has_content=has_text,
        text_of=attrgetter("text"),
        # Too rare to look for them.
        runs=lambda: lambda _: ((), True),
        telling=lambda usage: StreamCompleteResponse(chunks=[TextCompletion(usage=usage)]),
        events=lambda events: StreamCompleteResponse(events=events),
        id_prefix="cmpl-",
    )
