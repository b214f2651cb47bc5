"""What the streams of both clients have in common: all but how the next message is read."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from portico.client.answers import by_name
from portico.gateway import CallContext
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.events_pb2 import AttemptEvent, AttemptEventKind
from portico.v1.headers_pb2 import Header
from portico.v1.receipt_pb2 import Receipt, Served

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)

#: Is called with what becomes of a stream's attempts.
OnEvent: TypeAlias = Callable[[AttemptEvent], object]


class StreamClosedError(Exception):
    """The stream was closed, or a read of it cancelled, before its end: what came is not all."""


class Response(Protocol[C_co]):
    """A message of either stream."""

    @property
    def header(self) -> ChunkHeader: ...
    @property
    def chunks(self) -> Iterable[C_co]: ...
    @property
    def served(self) -> Served: ...
    @property
    def headers(self) -> Iterable[Header]: ...
    @property
    def events(self) -> Iterable[AttemptEvent]: ...
    def Clear(self) -> None: ...  # noqa: N802
    def MergeFrom(self, other_msg: Any, /) -> None: ...  # noqa: N802


class Received(Generic[C]):
    """What has come of a stream so far."""

    def __init__(self, context: CallContext, whole: Response[C], on_event: OnEvent | None = None) -> None:
        self._context = context
        self._on_event = on_event
        # All messages merged into one: 1 us and about 400 bytes a chunk.
        self._whole = whole
        self._ready: deque[C] = deque()

    @property
    def header(self) -> ChunkHeader:
        """What all chunks share: id, created, model. Empty until the first chunk."""
        return self._whole.header

    @property
    def served(self) -> Served:
        """The backend that serves the stream, and its name for the model. Empty until the first chunk."""
        return self._whole.served

    @property
    def headers(self) -> Mapping[str, bytes]:
        """The backend's headers that concern the caller. Empty until the first chunk."""
        return by_name(self._whole.headers)

    @property
    def request_id(self) -> str:
        """Finds the call in the gateway's log."""
        return self._context.request_id

    @property
    def receipt(self) -> Receipt | None:
        """Attempts, usage and times. None until the end, and when the gateway sent none."""
        return self._context.receipt

    def _take(self, response: Response[C]) -> None:
        for event in response.events:
            if event.kind == AttemptEventKind.ATTEMPT_EVENT_KIND_RESTARTED:
                self._whole.Clear()
            if self._on_event is not None:
                self._on_event(event)
        self._whole.MergeFrom(response)
        self._ready.extend(response.chunks)


def chat_text(chunk: ChatChunk) -> str:
    """Return the text that ``chunk`` adds to the first choice."""
    return "".join(choice.delta.content for choice in chunk.choices if not choice.index)


def completion_text(chunk: TextCompletion) -> str:
    """Return the text that ``chunk`` adds to the first choice."""
    return "".join(choice.text for choice in chunk.choices if not choice.index)
