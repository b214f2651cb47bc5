"""Writes the chunks of one stream as server-sent events."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.json import encode

from portico.openai._events import EventWriter
from portico.openai._lists import Lists
from portico.openai._shapes import Shapes, Usual
from portico.openai._usual import LOGPROBS, SOURCES, write_top
from portico.runs import RunReader
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice
from portico.v1.gateway_pb2 import StreamResponse

_USUAL: Final[Usual] = {
    ChatChunk: {"choices": []},
    ChunkChoice: {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None},
    **LOGPROBS,
    **SOURCES,
}
_SHAPES: Final = Shapes(lenient=True, usual=_USUAL, otherwise={"top_logprobs": write_top})
_CHUNK: Final = _SHAPES[ChatChunk.DESCRIPTOR]

#: Characters that are compared with one message, which keeps the memory of all that were ever set in it.
_KEPT: Final = 64 * 1024
_AFTER_TEXT: Final = b'},"logprobs":null,"finish_reason":null}]'


class ChunkRenderer:
    """Writes the chunks of one stream, in OpenAI's exact shape.

    Each choice begins with a role, "assistant" where the backend sends none, and repeats of it are
    left out: SDKs append the strings of deltas. The entries of lists that go on are numbered. Usage
    comes only when ``include_usage`` asks for it, and then in a chunk of its own at the end,
    whichever chunk it came on.
    """

    def __init__(self, *, include_usage: bool) -> None:
        self._writer = EventWriter("chat.completion.chunk", _CHUNK, include_usage=include_usage)
        #: What each choice that has begun said of its role, by index.
        self._roles: dict[int, str] = {}
        self._plain: dict[int, _Plain] = {}
        self._runs = RunReader()
        self._lists = Lists()

    def render(self, response: StreamResponse) -> bytes:
        """Return the events of all chunks of a message, joined. The message is not changed."""
        if response.HasField("header"):
            self._writer.begin(response.header)
            self._plain = {index: self._plain_of(index) for index in self._roles}
        elif 0 in self._plain:
            texts, more = self._runs.texts(response)
            run = self._plain[0].run(texts)
            return run + self._events(response.chunks[len(texts) :]) if more else run
        return self._events(response.chunks)

    def finish(self) -> bytes:
        """Return the end of a whole answer: the usage, when asked for, and ``[DONE]``."""
        return self._writer.finish()

    def _events(self, chunks: Iterable[ChatChunk]) -> bytes:
        return b"".join([self._chunk(chunk) for chunk in chunks])

    def _chunk(self, chunk: ChatChunk) -> bytes:
        choices = chunk.choices
        if len(choices) == 1:
            choice = choices[0]
            plain = self._plain.get(choice.index)
            event = plain.event(chunk, choice.delta.content) if plain is not None else b""
            if event:
                return event
        own = self._writer.own(chunk)
        if own is None:
            return b""
        for choice in own.choices:
            self._tell_role(choice)
            self._lists.number(choice)
        return self._writer.event(own)

    def _tell_role(self, choice: ChunkChoice) -> None:
        told = self._roles.get(choice.index)
        if told is None:
            if not choice.delta.HasField("role"):
                choice.delta.role = "assistant"
            self._roles[choice.index] = choice.delta.role
            self._plain[choice.index] = self._plain_of(choice.index)
        elif choice.delta.role == told:
            choice.delta.ClearField("role")

    def _plain_of(self, index: int) -> "_Plain":
        return _Plain(self._writer.start, index, self._writer.end)


class _Plain:
    """Writes the chunks of one choice that are a piece of text and no more.

    ``event`` compares a chunk with one that has nothing but the same text. That is the fastest way to know
    that there is no other field, and stays right when the contract gets new ones.
    """

    def __init__(self, start: bytes, index: int, end: bytes) -> None:
        self._start = start + b'"choices":[{"index":%d,"delta":{"content":' % index
        self._end = end
        self._between = _AFTER_TEXT + end + self._start
        self._index = index
        self._room = -1

    def run(self, texts: Sequence[bytes]) -> bytes:
        """Return the events of chunks that have nothing but these texts."""
        if not texts:
            return b""
        strings = self._between.join([encode(text.decode()) for text in texts])
        return self._start + strings + _AFTER_TEXT + self._end

    def event(self, chunk: ChatChunk, text: str) -> bytes:
        """Return the event of a chunk that has nothing but ``text`` and padding; empty for any other."""
        padding = chunk.obfuscation
        self._room -= len(text) + len(padding)
        if self._room < 0:
            self._room = _KEPT
            self._chunk = ChatChunk(choices=[ChunkChoice(index=self._index)])
            self._delta = self._chunk.choices[0].delta
        self._delta.content = text
        if padding:
            self._chunk.obfuscation = padding
        else:
            self._chunk.ClearField("obfuscation")
        if chunk != self._chunk:
            return b""
        after = b',"obfuscation":' + encode(padding) if padding else b""
        return self._start + encode(text) + _AFTER_TEXT + after + self._end
