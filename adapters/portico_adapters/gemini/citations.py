"""What an answer rests on, as annotations. Pure.

Gemini counts the bytes of the text in UTF-8, OpenAI its characters.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.v1.message_pb2 import Annotation, UrlCitation

T = TypeVar("T")


class _Source(Struct):
    uri: str | None = None
    title: str | None = None


class _Chunk(Struct, rename="camel"):
    web: _Source | None = None
    maps: _Source | None = None
    retrieved_context: _Source | None = None


class _Segment(Struct, rename="camel"):
    #: Absent where it is 0.
    start_index: int = 0
    end_index: int = 0


class _Support(Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(Struct, rename="camel"):
    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None


class _Citation(_Segment, rename="camel"):
    uri: str | None = None
    title: str | None = None


class _Citations(Struct, rename="camel"):
    #: Gemini's name, and Vertex's.
    citation_sources: list[_Citation] | None = None
    citations: list[_Citation] | None = None


_GROUNDING: Final = Decoder(_Grounding)
_CITATIONS: Final = Decoder(_Citations)


def annotations_of(text: str, grounding: Raw | None, citations: Raw | None) -> list[Annotation]:
    """Return the pages that an answer names. What cannot be read is left out: the answer is worth more."""
    place = _Places(text)
    found = list(_grounded(_read(grounding, _GROUNDING), place))
    cited = _read(citations, _CITATIONS)
    sources = (cited.citation_sources or cited.citations or ()) if cited else ()
    found += [_annotation(_Source(each.uri, each.title), each, place) for each in sources if each.uri]
    return found


def names_pages_alone(citations: Raw | None) -> bool:
    """Whether annotations say all that is cited: books and the like have no address."""
    cited = _read(citations, _CITATIONS)
    return cited is not None and all(each.uri for each in cited.citation_sources or cited.citations or ())


class _Places:
    """Turns places in bytes into places in characters."""

    def __init__(self, text: str) -> None:
        self._plain = text.isascii()
        self._ends = [] if self._plain else list(accumulate(len(c.encode(errors="replace")) for c in text))
        self._length = len(text)

    def __call__(self, byte: int) -> int:
        at = byte if self._plain else bisect_right(self._ends, byte)
        return max(0, min(at, self._length))


def _grounded(told: _Grounding | None, place: _Places) -> Iterator[Annotation]:
    chunks = (told.grounding_chunks if told else None) or []
    sources = [chunk.web or chunk.maps or chunk.retrieved_context for chunk in chunks]
    named: set[int] = set()
    for support in (told.grounding_supports if told else None) or ():
        for number in support.grounding_chunk_indices or ():
            source = sources[number] if 0 <= number < len(sources) else None
            if source and source.uri:
                named.add(number)
                yield _annotation(source, support.segment, place)
    for number, source in enumerate(sources):
        if number not in named and source and source.uri:
            yield _annotation(source, None, place)


def _annotation(source: _Source, segment: _Segment | None, place: _Places) -> Annotation:
    citation = UrlCitation(title=source.title, url=source.uri)
    if segment is not None:
        citation.start_index = place(segment.start_index)
        citation.end_index = place(segment.end_index)
    return Annotation(type="url_citation", url_citation=citation)


def _read(told: Raw | None, decoder: Decoder[T]) -> T | None:
    try:
        return None if told is None else decoder.decode(told)
    except (ValueError, RecursionError):
        return None
