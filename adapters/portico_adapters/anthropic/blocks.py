"""The blocks of an answer as what OpenAI's messages have for them. Pure.

A block is text, thinking, a tool call, or what a tool said that the API ran itself. The last kind has no
place in OpenAI's shape; a turn that has it can be continued only by its blocks as they were (``Carried``).
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.v1.message_pb2 import Annotation, UrlCitation
from portico_adapters._reading import read
from portico_adapters.anthropic.answers import given

#: The formats of ``reasoning_details`` that are this API's.
FORMAT: Final = "anthropic-claude-v1"

_MEMBERS: Final[Decoder[dict[str, object]]] = Decoder(dict[str, Raw])


class Block(Struct):
    """A block, whole or as it begins in a stream; which members it has its type tells."""

    type: str = ""
    text: str | None = None
    citations: list[Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    #: Thinking that only the API can read.
    data: str | None = None
    id: str | None = None
    name: str | None = None
    #: An object, kept as text: so no number in it changes.
    input: Raw = Raw(b"{}")
    #: Who calls the tool, where it is not the model itself but code of its own.
    caller: Raw = Raw(b"")


class _Caller(Struct):
    type: str = ""


class _Citation(Struct):
    type: str = ""
    #: Of a web page.
    url: str | None = None
    #: Of a search result that the caller gave: a URL, or any other name.
    source: str | None = None
    title: str | None = None
    cited_text: str | None = None


BLOCKS: Final = Decoder(Block)
_TEXT: Final = Decoder(str)
_CALLERS: Final = Decoder(_Caller)
_CITATIONS: Final = Decoder(_Citation)


def arguments_of(block: Block) -> str:
    """Return the input of a tool call as OpenAI's text of an object."""
    written = bytes(block.input)
    # Some servers of this dialect write the object as a text, as OpenAI does, or none where it is empty.
    text = read(block.input, _TEXT) if written.startswith(b'"') else written.decode()
    return text if text.strip() not in ("", "null") else "{}"


def call_extra(block: Block) -> str:
    """Return what OpenAI's tool calls have no member for; sent back, it is the block's again."""
    if not given(block.caller) or read(block.caller, _CALLERS).type == "direct":
        return ""
    return encode({"caller": block.caller}).decode()


def reasoning_detail(block: Block, index: int) -> dict[str, object]:
    """Return a block of thinking as an entry of ``reasoning_details``."""
    if block.type == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": block.data or "", "format": FORMAT, "index": index}
    return {
        "type": "reasoning.text",
        "text": block.thinking or "",
        "signature": block.signature,
        "format": FORMAT,
        "index": index,
    }


def cited(citations: Sequence[Raw], start: int, end: int) -> tuple[list[Annotation], list[object]]:
    """Return the sources of the text from ``start`` to ``end``: web pages, and what has no URL."""
    annotations: list[Annotation] = []
    others: list[object] = []
    for raw in citations:
        told = read(raw, _CITATIONS)
        url = told.url or told.source or ""
        if url.startswith(("https://", "http://")):
            found = UrlCitation(start_index=start, end_index=end, title=told.title, url=url)
            if told.cited_text is not None:
                found.extra_json = encode({"cited_text": told.cited_text}).decode()
            annotations.append(Annotation(type="url_citation", url_citation=found))
        else:
            members = read(raw, _MEMBERS)
            others.append({**members, "start_index": start, "end_index": end})
    return annotations, others


class Carried:
    """The blocks of a turn as they were, for turns that OpenAI's shape cannot hold.

    They travel as ``content_blocks`` in the message, and replace its content when it comes back. Such turns
    are those with blocks of other types than OpenAI knows, and those that think after they have spoken or
    speak after they have called.
    """

    def __init__(self) -> None:
        self._blocks: list[Raw] = []
        self._spoken = False
        self._called = False
        self._needed = False

    def add(self, kind: str, block: Raw) -> None:
        """Take the next block."""
        self._blocks.append(block)
        if kind in ("thinking", "redacted_thinking"):
            self._needed = self._needed or self._spoken
        else:
            self._spoken = True
            misplaced = self._called if kind == "text" else kind != "tool_use"
            self._needed = self._needed or misplaced
            self._called = self._called or kind == "tool_use"

    def members(self) -> dict[str, object]:
        """Return the member of the message, if it needs one."""
        return {"content_blocks": self._blocks} if self._needed else {}
