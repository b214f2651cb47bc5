"""What the chunks of a stream have in common: read from each, told once and whenever it changes."""

from typing import Any, Final, TypeAlias

from msgspec import Raw

from portico.openai import _values
from portico.openai._values import MismatchError
from portico.v1.chunk_pb2 import ChunkHeader
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse

# The members that make the header, in the order of its values below.
_MEMBERS: Final = {
    "id": _values.string,
    "created": _values.integer,
    "model": _values.string,
    "system_fingerprint": _values.string,
    "service_tier": _values.string,
    "object": _values.string,
}
Header: TypeAlias = tuple[str | int | None, ...]


def split_header(found: dict[str, Raw]) -> Header:
    """Take the header's values out of a chunk's members; what does not fit stays, but for ``object``."""
    values: list[Any] = []
    for name, decode in _MEMBERS.items():
        value = None
        if name in found:
            try:
                value = decode(found[name])
                del found[name]
            except MismatchError:
                pass
        values.append(value)
    found.pop("object", None)
    return tuple(values)


class HeaderWatch:
    """Notices when the common values of one stream's chunks change."""

    def __init__(self) -> None:
        self._header: Header | None = None

    def fits(self, header: Header, into: StreamResponse | StreamCompleteResponse) -> bool:
        """Whether a chunk with ``header`` may be appended to ``into``, which then tells a new one."""
        if header == self._header:
            return True
        if into.chunks:
            return False
        self._header = header
        values: dict[str, Any] = dict(zip(_MEMBERS, header, strict=True))
        into.header.CopyFrom(ChunkHeader(**values))
        return True
