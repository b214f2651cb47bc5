"""Reads and writes the chunks of one streamed text completion. Each has the shape of a whole answer."""

from collections.abc import Callable, Sequence
from typing import Final

from portico.openai._chunk_header import HeaderWatch, split_header
from portico.openai._events import EventWriter
from portico.openai._json import members
from portico.openai._shapes import Shapes, Usual
from portico.v1.completions_pb2 import TextChoice, TextCompletion
from portico.v1.gateway_pb2 import StreamCompleteResponse

_USUAL: Final[Usual] = {
    TextCompletion: {"choices": []},
    TextChoice: {"text": "", "index": 0, "logprobs": None, "finish_reason": None},
}
_READ: Final = Shapes(lenient=True)[TextCompletion.DESCRIPTOR]
_WRITTEN: Final = Shapes(lenient=True, usual=_USUAL)[TextCompletion.DESCRIPTOR]


class TextChunkParser:
    """Reads the chunks of one stream, and notices when their common values change.

    ``settle`` may change a chunk before it is told.
    """

    def __init__(self, settle: Callable[[TextCompletion], object] = lambda _: None) -> None:
        self._header = HeaderWatch()
        self._settle = settle

    def parse(self, data: bytes | memoryview, into: StreamCompleteResponse) -> bool:
        """Append the chunk in ``data`` to ``into``, by the rules of ``ChunkParser.parse``."""
        chunk = TextCompletion()
        try:
            found = members(bytes(data))
            header = split_header(found)
            _READ.read(found, chunk)
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None
        if not self._header.fits(header, into):
            return False
        self._settle(chunk)
        into.chunks.append(chunk)
        return True

    def parse_run(self, _events: Sequence[bytes], _at: int, _into: StreamCompleteResponse) -> int:
        """Append nothing: text completions are too rare to look for runs in them."""
        return 0


class TextChunkRenderer:
    """Writes the chunks of one stream. Usage comes as from ``ChunkRenderer``."""

    def __init__(self, *, include_usage: bool) -> None:
        self._writer = EventWriter("text_completion", _WRITTEN, include_usage=include_usage)

    def render(self, response: StreamCompleteResponse) -> bytes:
        """Return the events of all chunks of a message, joined. The message is not changed."""
        writer = self._writer
        if response.HasField("header"):
            writer.begin(response.header)
        chunks = map(writer.own, response.chunks)
        return b"".join([writer.event(chunk) for chunk in chunks if chunk is not None])

    def finish(self) -> bytes:
        """Return the end of a whole answer: the usage, when asked for, and ``[DONE]``."""
        return self._writer.finish()
