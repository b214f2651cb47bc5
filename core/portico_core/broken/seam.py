"""Where a second answer goes on in the place of one that broke off. Pure."""

from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import StreamResponse
from portico_core.broken.echo import Echo
from portico_core.broken.sent import is_plain


class DivergedError(Exception):
    """The second answer is another one: it must not follow the first."""


class Seam:
    """Lets of a second answer through what the caller does not have yet. The answer keeps its header.

    Until all that was sent has been repeated the second answer must be text alone. Where it continues a
    text rather than repeats it (``sent`` is empty then), it must begin with text, or be at its end: a
    model that thinks first, or calls a tool, does not go on with a text.
    """

    def __init__(self, sent: str, *, continues: bool) -> None:
        self._echo = Echo(sent)
        self._begun = not continues

    def take(self, response: StreamResponse) -> StreamResponse | None:
        """Return what of a message is new; raise DivergedError where the answer is another one."""
        passed = StreamResponse(chunks=filter(self._passes, response.chunks))
        return passed if passed.chunks else None

    def _passes(self, chunk: ChatChunk) -> bool:
        """Cut from a chunk what the caller has; tell whether anything is left."""
        if self._echo.over and self._begun:
            return True
        left = False
        for choice in chunk.choices:
            if not is_plain(choice):
                raise DivergedError
            new = self._echo.take(choice.delta.content)
            if new is None or (choice.finish_reason and not self._echo.over):
                raise DivergedError
            choice.delta.ClearField("role")
            if new or choice.finish_reason:
                choice.delta.content = new
                self._begun = left = True
        return left
