"""What each read of a stream brings, as one message. Pure."""

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from portico.errors import GatewayError, upstream_failed
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico_adapters._ndjson import NdjsonParser

R = TypeVar("R", bound=StreamResponse | StreamCompleteResponse)
R_contra = TypeVar("R_contra", contravariant=True)


class Lines(Protocol[R_contra]):
    """Translates the lines of one stream."""

    @property
    def done(self) -> bool:
        """The line that ends the answer has come: nothing that follows counts."""
        ...

    def take(self, line: bytes, into: R_contra, /) -> None:
        """Append what a line brings; raise the error that it tells."""
        ...


class Translator(Generic[R]):
    """Cuts a stream into lines and has ``lines`` translate them into messages of the class ``kind``."""

    def __init__(self, kind: type[R], lines: Lines[R], max_line_bytes: int) -> None:
        self._kind = kind
        self._lines = lines
        self._parser = NdjsonParser(max_line_bytes)

    @property
    def done(self) -> bool:
        """The answer is whole: nothing that follows counts."""
        return self._lines.done

    def feed(self, data: bytes) -> Iterator[R]:
        """Yield the message of one read, if it brought any; raise GatewayError where it brought an error."""
        try:
            lines = self._parser.feed(data)
        except ValueError as error:
            raise upstream_failed(
                "The backend sent a larger line than this gateway takes.", str(error)
            ) from error
        return self._message(lines)

    def close(self) -> Iterator[R]:
        """Yield what the end of the stream leaves; raise GatewayError where the answer is not whole."""
        yield from self._message(self._parser.close())
        if not self.done:
            raise upstream_failed("The backend's stream broke off before the answer was whole.")

    def _message(self, lines: Iterable[bytes]) -> Iterator[R]:
        message = self._kind()
        try:
            for line in lines:
                if not self._lines.done:
                    self._lines.take(line, message)
        except GatewayError:
            # What came before the error in the same read is the caller's.
            if message.chunks:
                yield message
            raise
        if message.chunks:
            yield message
