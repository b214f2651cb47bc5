"""A block of a stream, of which pieces come. Pure."""

from msgspec import Raw
from msgspec.json import Decoder, encode

from portico_adapters._reading import unreadable
from portico_adapters.bedrock.reasoning import joined_base64

_JSON = Decoder(Raw)


class OpenBlock:
    """What came of one block so far."""

    def __init__(self, begun: dict[str, dict[str, Raw]], start: int) -> None:
        """``begun``: the union of its start, empty where none came. ``start``: characters of text before."""
        self.begun = begun
        self.start = start
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.signatures: list[str] = []
        self.redacted: list[str] = []
        self.inputs: list[str] = []
        self.images: list[str] = []
        self.citations: list[Raw] = []
        #: Of the result of a tool that Bedrock ran.
        self.results: list[Raw] = []
        #: The number of the call among those of the answer; None: it is none for the caller.
        self.number: int | None = None

    def raw(self) -> Raw | None:
        """Return the block as a whole answer has it; raise 502 where it has no base64. None: nothing came."""
        if "toolUse" in self.begun:
            return _encoded("toolUse", {**self.begun["toolUse"], "input": self._input()})
        if "toolResult" in self.begun:
            return _encoded("toolResult", {**self.begun["toolResult"], "content": self.results})
        if "image" in self.begun:
            return _encoded("image", {**self.begun["image"], "source": {"bytes": _joined(self.images)}})
        if self.redacted:
            return _encoded("reasoningContent", {"redactedContent": _joined(self.redacted)})
        if self.thoughts or self.signatures:
            text = {"text": "".join(self.thoughts)}
            signed = {"signature": "".join(self.signatures)} if self.signatures else {}
            return _encoded("reasoningContent", {"reasoningText": text | signed})
        if self.citations:
            content = [{"text": "".join(self.texts)}]
            return _encoded("citationsContent", {"content": content, "citations": self.citations})
        return _encoded("text", "".join(self.texts)) if self.texts else None

    def _input(self) -> Raw:
        # A tool that takes nothing may be called with no text at all.
        text = "".join(self.inputs).strip() or "{}"
        try:
            return _JSON.decode(text)
        except (ValueError, RecursionError):
            # The model wrote it. A caller's tool call has it as text; a block holds JSON.
            return Raw(encode(text))


def _joined(pieces: list[str]) -> str:
    try:
        return joined_base64(pieces)
    except ValueError as problem:
        raise unreadable(str(problem)) from problem


def _encoded(member: str, value: object) -> Raw:
    return Raw(encode({member: value}))
