"""A block of a streamed answer while its pieces come. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw
from msgspec.json import Decoder, encode
from msgspec.structs import replace

from portico_adapters._reading import read
from portico_adapters.anthropic.blocks import Block

_MEMBERS: Final[Decoder[dict[str, object]]] = Decoder(dict[str, Raw])
_VALUE: Final = Decoder(Raw)


class OpenBlock:
    """Collects the pieces of one block."""

    def __init__(self, begun: Block, raw: Raw, start: int) -> None:
        #: As it began, and that as it was written.
        self.begun = begun
        self._raw = raw
        #: Where its text begins in the content, in characters.
        self.start = start
        #: Its number among the tool calls.
        self.number = 0
        self.citations: list[Raw] = list(begun.citations or ())
        # Lists, not sums: to add to a text costs its length each time.
        self._texts = [begun.text or ""]
        self._thoughts = [begun.thinking or ""]
        self._signatures = [begun.signature or ""]
        self._input: list[str] = []
        self._others: dict[str, Raw] = {}

    def add(
        self, text: str | None, thinking: str | None, signature: str | None, partial_json: str | None
    ) -> None:
        """Take a piece."""
        for piece, pieces in (
            (text, self._texts),
            (thinking, self._thoughts),
            (signature, self._signatures),
            (partial_json, self._input),
        ):
            if piece:
                pieces.append(piece)

    def add_others(self, told: Mapping[str, Raw]) -> None:
        """Take members that came in a delta of a type that nobody knows here: texts go on, others replace."""
        for name, value in told.items():
            before = bytes(self._others.get(name, b""))
            if before.startswith(b'"') and bytes(value).startswith(b'"'):
                self._others[name] = Raw(before[:-1] + bytes(value)[1:])
            else:
                self._others[name] = value

    @property
    def has_input(self) -> bool:
        """Whether any of a tool's input came in pieces."""
        return bool(self._input)

    def whole(self) -> Block:
        """Return the block with all of its pieces, a tool's input apart."""
        return replace(
            self.begun,
            text="".join(self._texts),
            thinking="".join(self._thoughts),
            signature="".join(self._signatures) or self.begun.signature,
        )

    def raw(self) -> Raw:
        """Return it as an unstreamed answer would have it."""
        members = read(self._raw, _MEMBERS)
        whole = self.whole()
        if whole.type == "text":
            members["text"] = whole.text
            if self.citations:
                members["citations"] = self.citations
        elif whole.type == "thinking":
            members |= {"thinking": whole.thinking, "signature": whole.signature}
        elif self._input:
            # Cut off by a limit, it may be no JSON; then it stays as it began.
            members["input"] = _parsed("".join(self._input), whole.input)
        return Raw(encode(members | self._others))


def _parsed(text: str, otherwise: Raw) -> Raw:
    try:
        return _VALUE.decode(text)
    except (ValueError, RecursionError):
        return otherwise
