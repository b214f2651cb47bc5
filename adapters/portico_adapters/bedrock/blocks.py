"""The blocks of an answer, whole or put together out of a stream, and what they say. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.v1.message_pb2 import Annotation, UrlCitation
from portico_adapters._reading import read
from portico_adapters.bedrock.reasoning import detail_of

SERVER_TOOL: Final = "server_tool_use"


class ToolUse(Struct):
    toolUseId: str = ""  # noqa: N815 - as AWS writes it
    name: str = ""
    #: An object, kept as text: so no number in it changes.
    input: Raw = Raw(b"{}")
    #: "server_tool_use": Bedrock runs the tool itself, and its result stands in the same answer.
    type: str | None = None


class _Text(Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct):
    reasoningText: _Text | None = None  # noqa: N815
    redactedContent: str | None = None  # noqa: N815


class _Cited(Struct):
    content: list[_Text] | None = None
    citations: list[Raw] | None = None


class _Bytes(Struct):
    #: base64.
    bytes: str = ""


class _Image(Struct):
    format: str = ""
    source: _Bytes | None = None


class Block(Struct):
    """A union: one member is there, or one that is not known here."""

    text: str | None = None
    toolUse: ToolUse | None = None  # noqa: N815
    reasoningContent: _Reasoning | None = None  # noqa: N815
    citationsContent: _Cited | None = None  # noqa: N815
    image: _Image | None = None

    @property
    def has_no_place(self) -> bool:
        """Whether OpenAI's shape cannot hold it."""
        if self.toolUse is not None:
            return self.toolUse.type == SERVER_TOOL
        return self.text is None and self.reasoningContent is None and self.citationsContent is None

    @property
    def said(self) -> str:
        """The text for the caller."""
        if self.citationsContent is not None:
            return "".join(piece.text for piece in self.citationsContent.content or ())
        return self.text or ""

    @property
    def thought(self) -> str:
        """The thinking that may be read."""
        thoughts = self.reasoningContent and self.reasoningContent.reasoningText
        return thoughts.text if thoughts else ""

    @property
    def cited(self) -> Sequence[Raw]:
        """The sources of the text."""
        return (self.citationsContent.citations or ()) if self.citationsContent is not None else ()

    @property
    def picture(self) -> object | None:
        """An image as an entry of ``images``. None: it is none, or stands elsewhere."""
        if self.image is None or self.image.source is None or not self.image.source.bytes:
            return None
        url = f"data:image/{self.image.format};base64,{self.image.source.bytes}"
        return {"type": "image_url", "image_url": {"url": url}}

    def detail(self, index: int) -> object | None:
        """Return what is to come back unchanged. None: nothing is."""
        if self.reasoningContent is None:
            return None
        thoughts = self.reasoningContent.reasoningText or _Text()
        return detail_of(
            index, thoughts.text, thoughts.signature or "", self.reasoningContent.redactedContent
        )


BLOCKS: Final = Decoder(Block)


class _Web(Struct):
    url: str = ""
    domain: str | None = None


class _Location(Struct):
    web: _Web | None = None


class _Citation(Struct):
    title: str | None = None
    location: _Location | None = None


_CITATIONS: Final = Decoder(_Citation)
_MEMBERS: Final[Decoder[dict[str, object]]] = Decoder(dict[str, Raw])


def annotations_of(cited: Sequence[Raw], start: int, end: int) -> tuple[list[Annotation], list[object]]:
    """Return the sources on the web of the text from ``start`` to ``end``, and those elsewhere with both."""
    annotations, others = list[Annotation](), list[object]()
    for raw in cited:
        citation = read(raw, _CITATIONS)
        web = citation.location and citation.location.web
        if web:
            title = citation.title or web.domain
            place = UrlCitation(start_index=start, end_index=end, title=title, url=web.url)
            annotations.append(Annotation(type="url_citation", url_citation=place))
        else:
            others.append(read(raw, _MEMBERS) | {"start_index": start, "end_index": end})
    return annotations, others
