"""What a caller has of an answer that may break off. Pure."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from portico.v1.chunk_pb2 import ChunkChoice
from portico.v1.events_pb2 import DiscardedText
from portico_core.progress import holds_anything

#: Characters that are remembered. A longer answer is not mended.
MOST: Final = 1024 * 1024


class Sent:
    """The texts that went to the caller, as far as they may be needed again."""

    __slots__ = ("_pieces", "_size", "_text_of", "begun", "plain")

    def __init__(self, text_of: Callable[[Any], str]) -> None:
        """``text_of``: a choice's field for its text."""
        self._text_of = text_of
        self._pieces: defaultdict[int, list[str]] = defaultdict(list)
        self._size = 0
        #: Whether anything went.
        self.begun = False
        #: Whether it was nothing but the text of one choice.
        self.plain = True

    @property
    def remembered(self) -> bool:
        """Whether all of it is known still."""
        return self._size <= MOST

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return "".join(self._pieces[0])

    def discarded(self) -> Sequence[DiscardedText]:
        """Return what went, as it is told to a caller who is to throw it away, and begin anew."""
        told = [DiscardedText(index=index, text="".join(each)) for index, each in self._pieces.items()]
        self._pieces.clear()
        self._size, self.plain = 0, True
        return told

    def take(self, response: Any) -> None:
        """Account for a message that goes to the caller."""
        self.begun = True
        for chunk in response.chunks:
            for choice in chunk.choices:
                self.plain = self.plain and is_plain(choice)
                text = self._text_of(choice)
                self._size += len(text)
                if text and self.remembered:
                    self._pieces[choice.index].append(text)


def is_plain(choice: Any) -> bool:
    """Tell whether a choice holds nothing that matters but text, and is the first one."""
    if not isinstance(choice, ChunkChoice) or choice.index or choice.HasField("logprobs"):
        return False
    for field, value in choice.delta.ListFields():
        if field.name == "extra_json":
            if value and holds_anything(choice.delta):
                return False
        elif field.name not in ("content", "role") and value != "":
            return False
    return True
