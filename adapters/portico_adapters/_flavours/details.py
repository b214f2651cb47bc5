"""Thoughts whose entries of ``reasoning_details`` come in pieces (OpenRouter). Pure."""

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.v1.chunk_pb2 import Delta
from portico_adapters._flavours.members import members_of, put

_NAME: Final = "reasoning_details"
_ENTRIES: Final = Decoder(list[dict[str, Raw]])
# What every piece of an entry says again. SDKs append the texts of pieces, and nobody knows the sum.
_AGAIN: Final = ("format", "id")


class StreamedDetails:
    """Leaves out of later pieces of one stream what the first one of their entry said."""

    def __init__(self) -> None:
        #: By the choice, the index of the entry and the member.
        self._told: dict[tuple[int, bytes, str], bytes] = {}

    def settle(self, index: int, delta: Delta) -> None:
        """Change a delta of the choice ``index``."""
        if f'"{_NAME}"' not in delta.extra_json:
            return
        try:
            entries = _ENTRIES.decode(members_of(delta.extra_json).get(_NAME, Raw(b"[]")))
        except (ValueError, RecursionError):
            return
        shortened = [self._shorten(index, entry) for entry in entries]
        if any(shortened):
            put(delta, _NAME, entries)

    def _shorten(self, index: int, entry: dict[str, Raw]) -> bool:
        """Return whether anything was left out of a piece."""
        if "index" not in entry:
            return False
        again = []
        for name in entry.keys() & set(_AGAIN):
            key, value = (index, bytes(entry["index"]), name), bytes(entry[name])
            if self._told.get(key) == value:
                again.append(name)
            self._told[key] = value
        for name in again:
            del entry[name]
        return bool(again)
