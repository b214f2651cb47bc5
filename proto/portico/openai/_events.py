"""What the streams of all endpoints have in common when they are written as server-sent events."""

from collections.abc import Collection
from typing import Any, Final

from msgspec.json import encode

from portico.openai._json import members
from portico.openai._shapes import Shape
from portico.openai._usual import tier_of
from portico.v1.chunk_pb2 import ChunkHeader

_DONE: Final = b"data: [DONE]\n\n"

# What every event has of its stream's header.
_USUAL: Final[dict[str, object]] = {"id": None, "object": None, "created": None, "model": None}
_ODD: Final = _USUAL.keys() - {"object"}


class EventWriter:
    """Writes events of one stream. Usage comes only when asked for, and then in an event of its own."""

    def __init__(self, kind: str, shape: Shape, *, include_usage: bool) -> None:
        """``kind``: the ``object`` of a chunk."""
        self._kind = kind
        self._shape = shape
        self._include_usage = include_usage
        #: An event behind the members that are its own.
        self.end = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        #: An event up to the members that are its own.
        self.start = b""
        self._header = ChunkHeader()
        self._owed: Any = None
        self.begin(self._header)

    def begin(self, header: ChunkHeader) -> None:
        """Take the values that hold for the chunks from here on."""
        self._header = header
        self.start = self._start()

    def own(self, chunk: Any) -> Any:
        """Return a copy of a chunk without its usage, which is owed from now on; None: that was all."""
        if chunk.HasField("usage"):
            if self._include_usage:
                self._owed = type(chunk)(usage=chunk.usage) if chunk.choices else chunk
            if not chunk.choices:
                return None
        own = type(chunk)()
        own.CopyFrom(chunk)
        own.ClearField("usage")
        if '"usage"' in own.extra_json:
            own.extra_json = _without_usage(own.extra_json)
        return own

    def event(self, chunk: Any) -> bytes:
        """Write a chunk."""
        return self._event(chunk, self.end)

    def finish(self) -> bytes:
        """Return the end of a whole answer: the usage, when asked for, and ``[DONE]``."""
        return _DONE if self._owed is None else self._event(self._owed, b"}\n\n") + _DONE

    def _event(self, chunk: Any, end: bytes) -> bytes:
        body = encode(self._shape.write(chunk))[1:-1]
        # A value of another type than its field's comes with the chunk: it must not stand twice.
        odd = _ODD & members(chunk.extra_json.encode()).keys() if chunk.extra_json else ()
        start = self._start(odd) if odd else self.start
        # JSON that is carried verbatim may have line breaks between its tokens; an event must not.
        return start + body.replace(b"\n", b" ").replace(b"\r", b" ") + end

    def _start(self, without: Collection[str] = ()) -> bytes:
        told = {field.name: value for field, value in self._header.ListFields()}
        tier = tier_of(self._header.service_tier) if self._header.HasField("service_tier") else {}
        values = {**_USUAL, **told, **tier, "object": self._kind}
        return b"data: " + encode({n: value for n, value in values.items() if n not in without})[:-1] + b","


def _without_usage(extra_json: str) -> str:
    """Leave out a usage that is no object: an event says itself whether it has one."""
    kept = {name: value for name, value in members(extra_json.encode()).items() if name != "usage"}
    return encode(kept).decode() if kept else ""
