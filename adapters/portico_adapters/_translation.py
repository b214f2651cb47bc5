"""What each read of a stream of any framing brings, as one message. Pure."""

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from portico.errors import GatewayError, upstream_failed
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse

R = TypeVar("R", StreamResponse, StreamCompleteResponse)
R_contra = TypeVar("R_contra", StreamResponse, StreamCompleteResponse, contravariant=True)
E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
E_contra = TypeVar("E_contra", contravariant=True)


class Framing(Protocol[E_co]):
    """Cuts a stream into its events: lines, server-sent events, binary frames."""

    def feed(self, data: bytes, /) -> Iterable[E_co]:
        """Return the events that end within ``data``; raise ValueError where it breaks the framing."""
        ...

    def close(self) -> Iterable[E_co]:
        """Return what the end of the stream leaves; raise ValueError for a piece of an event."""
        ...


class Events(Protocol[E_contra, R_contra]):
    """Translates the events of one stream, one after the other."""

    @property
    def done(self) -> bool:
        """The answer is whole: nothing that follows counts."""
        ...

    def take(self, event: E_contra, into: R_contra, /) -> None:
        """Append the chunks of an event, if it brings any; raise the error that it tells or is."""
        ...


class Translation(Generic[E, R]):
    """Has ``framing`` cut one stream and ``events`` translate it into messages of the class ``kind``."""

    def __init__(self, kind: type[R], framing: Framing[E], events: Events[E, R]) -> None:
        self._kind: type[R] = kind
        self._framing: Framing[E] = framing
        self._events: Events[E, R] = events

    @property
    def done(self) -> bool:
        """The answer is whole: nothing that follows counts."""
        return self._events.done

    def feed(self, data: bytes) -> Iterator[R]:
        """Yield the message of one read, if it brought any; raise GatewayError where it brought an error."""
        try:
            events = self._framing.feed(data)
        except ValueError as problem:
            raise _unreadable(problem) from problem
        return self._message(events)

    def close(self) -> Iterator[R]:
        """Yield what the end of the stream leaves; raise GatewayError where the answer is not whole."""
        try:
            events = self._framing.close()
        except ValueError as problem:
            raise _unreadable(problem) from problem
        yield from self._message(events)
        if not self.done:
            raise upstream_failed("The backend's stream broke off before the answer was whole.")

    def _message(self, events: Iterable[E]) -> Iterator[R]:
        message = self._kind()
        try:
            for event in events:
                if not self.done:
                    self._events.take(event, message)
        except GatewayError:
            # What came before the error in the same read is the caller's.
            if message.chunks:
                yield message
            raise
        if message.chunks:
            yield message


def _unreadable(problem: ValueError) -> GatewayError:
    return upstream_failed("The backend's stream cannot be read.", str(problem))
