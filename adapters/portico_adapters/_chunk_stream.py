"""What a stream of OpenAI's dialect brings, as messages of the contract. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

from portico.errors import GatewayError, answer_too_large, upstream_failed
from portico.openai.errors import error_in
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico_adapters._sse import SseParser

R = TypeVar("R", StreamResponse, StreamCompleteResponse)
R_contra = TypeVar("R_contra", StreamResponse, StreamCompleteResponse, contravariant=True)

# How much of what is no stream is searched for an error.
_HEAD_BYTES: Final = 64 * 1024

# Events at the start, for which a caller waits most: at Azure what it says of the prompt, a role, and a
# token. What else their read brought, a hundred tokens as it may be, waits until they have gone, where it is
# more than a few.
_FIRST: Final = 3
_FEW: Final = 8


class Parser(Protocol[R_contra]):
    """A parser of ``portico.openai.chunks``."""

    def parse(self, data: bytes, into: R_contra, /) -> bool:
        """Append a chunk. False: it has another header than the message."""
        ...

    def parse_run(self, events: Sequence[bytes], at: int, into: R_contra, /) -> int:
        """Append the chunks of the events from ``at`` on that repeat the last one; return how many."""
        ...


class ChunkStream(Generic[R]):
    """Turns what each read of a stream brings into messages, one where the header stays the same.

    The first of many events travel ahead.

    ``whole``: returns the chunks of an answer that came as JSON although a stream was asked for; none of
    what is no answer. Such an answer may be as large as an event.
    """

    def __init__(
        self,
        message: type[R],
        chunks: Parser[R],
        max_event_bytes: int,
        whole: Callable[[bytes], list[bytes]],
    ) -> None:
        self._message: type[R] = message
        self._chunks: Parser[R] = chunks
        self._events = SseParser(max_event_bytes)
        self._whole = whole
        #: The start of the body, as long as no event has come of it, and how much may still be kept.
        self._head: list[bytes] | None = []
        self._room = max_event_bytes
        #: How many of the first events are still to come.
        self._first = _FIRST
        #: ``[DONE]`` has come: nothing that follows counts.
        self.done = False

    def feed(self, data: bytes) -> Iterable[R]:
        """Return the messages of one read. Raise GatewayError where it holds an error or no chunk."""
        try:
            events = self._events.feed(data)
        except ValueError as error:
            raise answer_too_large("event", str(error)) from error
        if self._head is not None:
            self._keep(data, events)
        if self._first:
            first = self._first
            self._first = max(0, first - len(events))
            if len(events) > _FEW:
                return chain(self._messages(events[:first]), self._messages(events[first:]))
        message = self._message()
        taken = self._chunks.parse_run(events, 0, message)
        if taken == len(events):
            # Nearly always: no generator, which costs three calls.
            return (message,) if taken else ()
        return self._messages(events, taken, message)

    def close(self) -> Iterator[R]:
        """Yield what the end of the body leaves. Raise GatewayError where it never was a stream."""
        events = self._events.close()
        if self._head is not None and not events:
            body = b"".join(self._head)
            detail = f"{len(body)} bytes or more without an event"
            error = error_in(body[:_HEAD_BYTES])
            events = [] if error is not None else self._whole(body)
            if not events:
                raise error or upstream_failed("The backend did not answer with a stream.", detail)
        return self._messages(events)

    def _keep(self, data: bytes, events: list[bytes]) -> None:
        """Keep what may turn out to be no stream."""
        if events or self._head is None:
            self._head = None
        elif self._room > 0:
            self._head.append(data[: self._room])
            self._room -= len(data)

    def _messages(self, events: list[bytes], at: int = 0, message: R | None = None) -> Iterator[R]:
        """Yield the messages of the events from ``at`` on. ``message`` has those before."""
        message = self._message() if message is None else message
        while not self.done:
            at += self._chunks.parse_run(events, at, message)
            if at == len(events):
                break
            event = events[at]
            at += 1
            if event.startswith(b"[DONE]"):
                self.done = True
                break
            try:
                fits = self._append(event, message)
            except GatewayError:
                if message.chunks:
                    yield message
                raise
            if not fits:
                yield message
                message = self._message()
                self._append(event, message)
        if message.chunks:
            yield message

    def _append(self, event: bytes, message: R) -> bool:
        """Append an event's chunk. False: it has another header than the message."""
        if not event:
            return True
        # Nearly no event has an error: the look for the word saves the call.
        if b'"error"' in event and (error := error_in(event)) is not None:
            raise error
        try:
            return self._chunks.parse(event, message)
        except ValueError as reason:
            # The event itself holds somebody's messages, which the log must not.
            raise upstream_failed("The backend sent an event that is no chunk.", str(reason)) from reason
