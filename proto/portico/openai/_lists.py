"""Lists that come in several chunks, numbered so that OpenAI's SDK can put them together."""

from collections import Counter

from msgspec import Raw
from msgspec.json import encode

from portico.openai._json import elements, kind, members
from portico.v1.chunk_pb2 import ChunkChoice


class Lists:
    """Knows how many entries of each list of a stream have been told.

    The SDK's ``stream()`` appends to a list what has the next ``index``, and raises where entries of a second
    chunk have none. OpenAI's own lists but the tool calls come in one chunk, and need none.
    """

    def __init__(self) -> None:
        #: By the index of the choice and the name of the list.
        self._told: Counter[tuple[int, str]] = Counter()

    def number(self, choice: ChunkChoice) -> None:
        """Number the entries of lists that have been begun, unless the backend does."""
        delta = choice.delta
        if delta.annotations:
            at = self._place(choice.index, "annotations", len(delta.annotations))
            for number, annotation in enumerate(delta.annotations if at else (), at):
                annotation.extra_json = _numbered(annotation.extra_json or "{}", number)
        if "[" in delta.extra_json:
            delta.extra_json = self._vendors(choice.index, delta.extra_json)

    def _vendors(self, choice: int, extra_json: str) -> str:
        try:
            extra: dict[str, object] = dict(members(extra_json.encode()))
            lists = {name: _objects(raw) for name, raw in members(extra_json.encode()).items()}
        except (ValueError, RecursionError):
            return extra_json
        # They have numbers of their own.
        lists.pop("tool_calls", None)
        changed = False
        for name, entries in lists.items():
            at = self._place(choice, name, len(entries))
            if at and entries:
                extra[name] = [
                    Raw(_numbered(each, number).encode()) for number, each in enumerate(entries, at)
                ]
                changed = True
        return encode(extra).decode() if changed else extra_json

    def _place(self, choice: int, name: str, count: int) -> int:
        """Return how many entries came before ``count`` new ones."""
        at = self._told[choice, name]
        self._told[choice, name] += count
        return at


def _objects(raw: Raw) -> list[str]:
    """Return the entries of a list of objects; none of any other value."""
    if kind(raw) != "an array":
        return []
    entries = elements(raw)
    return [bytes(each).decode() for each in entries] if {*map(kind, entries)} == {"an object"} else []


def _numbered(entry: str, number: int) -> str:
    told: dict[str, object] = dict(members(entry.encode()))
    return entry if "index" in told else encode({**told, "index": number}).decode()
