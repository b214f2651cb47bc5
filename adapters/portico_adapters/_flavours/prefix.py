"""Answers that the caller has begun, at providers that want ``prefix`` said and repeat the beginning. Pure.

Mistral's reference, "Chat Completion", AssistantMessage: a last message of the assistant is refused without
``prefix``, and with it the answer starts with that message. Elsewhere it goes on after it, which is what
Portico's callers get. Who sends ``prefix`` knows Mistral's way, and gets that.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from portico.v1.chat_pb2 import ChatCompletion, ChatCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._chunk_stream import ChunkStream
from portico_adapters._flavours.members import put
from portico_adapters._flavours.row import Flavour


def beginning(flavour: Flavour, params: ChatCompletionParams) -> str:
    """Return the text that the answer is to go on with. Empty: none, or it is the caller's own affair."""
    if not flavour.continues_prefix or not params.messages:
        return ""
    last = params.messages[-1]
    begins = last.role == "assistant" and not last.tool_calls and '"prefix"' not in last.extra_json
    return last.content if begins else ""


def ask_to_continue(flavour: Flavour, params: ChatCompletionParams) -> None:
    """Say in ``params`` that the last message begins the answer, where it does."""
    if beginning(flavour, params):
        put(params.messages[-1], "prefix", True)


def cut_from(completion: ChatCompletion, begun: str) -> None:
    """Take the beginning out of a whole answer that repeats it."""
    for choice in completion.choices:
        if begun and choice.message.content.startswith(begun):
            choice.message.content = choice.message.content[len(begun) :]


@dataclass(slots=True)
class _Repeat:
    """How much of the beginning is still to be repeated, and what of it has been."""

    left: str
    held: str = ""

    def cut(self, text: str, *, ends: bool) -> str:
        """Return what of a piece is no repetition."""
        if text.startswith(self.left):
            new, self.left = text[len(self.left) :], ""
        elif self.left.startswith(text) and not ends:
            self.held, self.left, new = self.held + text, self.left[len(text) :], ""
        else:
            # It goes on in its own way: nothing of it is to be lost.
            new, self.left = self.held + text, ""
        return new


class Continued:
    """A stream of answers that do not repeat their beginning. Has the shape of ``StreamTranslator``."""

    def __init__(self, stream: ChunkStream[StreamResponse], begun: str) -> None:
        self._stream = stream
        self._repeats: defaultdict[int, _Repeat] = defaultdict(lambda: _Repeat(begun))

    @property
    def done(self) -> bool:
        """The answer is whole."""
        return self._stream.done

    def feed(self, data: bytes, /) -> Iterator[StreamResponse]:
        """Yield what one read brings that is new."""
        return map(self._cut, self._stream.feed(data))

    def close(self) -> Iterator[StreamResponse]:
        """Yield what the end of the body leaves."""
        return map(self._cut, self._stream.close())

    def _cut(self, message: StreamResponse) -> StreamResponse:
        for chunk in message.chunks:
            for choice in chunk.choices:
                repeat, delta = self._repeats[choice.index], choice.delta
                if repeat.left and (delta.content or choice.finish_reason):
                    delta.content = repeat.cut(delta.content, ends=bool(choice.finish_reason))
        return message
