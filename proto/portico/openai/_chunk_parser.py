"""Reads the chunks of one stream."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder

from portico.openai._chunk_header import HeaderWatch, split_header
from portico.openai._json import members
from portico.openai._repeats import Repeats
from portico.openai._shapes import Shapes
from portico.openai._values import Int64
from portico.runs import run
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import StreamResponse

_CHUNK: Final = Shapes(lenient=True)[ChatChunk.DESCRIPTOR]


# The plain chunk, member by member: what it does not list makes the decoder refuse.
_Finish: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class _Delta(Struct, forbid_unknown_fields=True, gc=False):
    content: str | None = None
    role: str | None = None
    refusal: None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(Struct, forbid_unknown_fields=True, gc=False):
    delta: _Delta
    index: Int64
    finish_reason: _Finish | None = None
    logprobs: None = None


class _Chunk(Struct, forbid_unknown_fields=True, gc=False):
    choices: tuple[_Choice]
    id: str | None = None
    created: Int64 | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    object: str | None = None
    usage: None = None
    obfuscation: str | None = None


_PLAIN: Final = Decoder(_Chunk)


class ChunkParser:
    """Reads the chunks of one stream, and notices when their common values change.

    ``settle`` may change a chunk that has more than OpenAI's text, roles and reasons, before it is told.
    """

    def __init__(self, settle: Callable[[ChatChunk], object] = lambda _: None) -> None:
        self._header = HeaderWatch()
        self._settle = settle
        self._repeats = Repeats()

    def parse(self, data: bytes | memoryview, into: StreamResponse) -> bool:
        """Append the chunk in ``data``, one event's JSON text, to ``into``.

        ``into.header`` is set for the first chunk and whenever a value of it changes. Since it holds
        for all chunks of a message, a change behind other chunks needs a new message: then the
        result is False and nothing is appended. What does not fit its field goes to ``extra_json``.
        Raises ValueError for what is no JSON object.
        """
        if not isinstance(data, bytes):
            data = bytes(data)
        self._repeats.forget()
        try:
            chunk = _PLAIN.decode(data)
        except ValueError:
            return self._parse_any(data, into)
        header = (
            chunk.id,
            chunk.created,
            chunk.model,
            chunk.system_fingerprint,
            chunk.service_tier,
            chunk.object,
        )
        if not self._header.fits(header, into):
            return False
        _append(chunk, into)
        choice = chunk.choices[0]
        text = choice.delta.content
        if text is not None and choice == _Choice(_Delta(text), 0) and chunk.obfuscation is None:
            self._repeats.note(data)
        return True

    def parse_run(self, events: Sequence[bytes], at: int, into: StreamResponse) -> int:
        """Append the chunks of the events from ``at`` on that repeat the last one but for their text.

        Returns how many there are; often none.
        """
        texts = self._repeats.texts(events, at)
        if texts:
            into.MergeFromString(run(texts))
        return len(texts)

    def _parse_any(self, data: bytes, into: StreamResponse) -> bool:
        chunk = ChatChunk()
        try:
            found = members(data)
            header = split_header(found)
            _CHUNK.read(found, chunk)
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None
        if not self._header.fits(header, into):
            return False
        self._settle(chunk)
        into.chunks.append(chunk)
        return True


def _append(chunk: _Chunk, into: StreamResponse) -> None:
    appended = into.chunks.add()
    if chunk.obfuscation is not None:
        appended.obfuscation = chunk.obfuscation
    plain = chunk.choices[0]
    choice = appended.choices.add()
    choice.index = plain.index
    if plain.finish_reason is not None:
        choice.finish_reason = plain.finish_reason
    delta = choice.delta
    delta.SetInParent()
    if plain.delta.content is not None:
        delta.content = plain.delta.content
    if plain.delta.role is not None:
        delta.role = plain.delta.role
    if plain.delta.reasoning_content is not None:
        delta.reasoning_content = plain.delta.reasoning_content
    if plain.delta.reasoning is not None:
        delta.reasoning = plain.delta.reasoning
