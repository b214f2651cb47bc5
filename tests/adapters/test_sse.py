"""The parser of server-sent events: literal wire text in, data of events out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.testing.wire import pieces
from portico_adapters._sse import SseParser

# Wire text -> data of its events, one row per rule.
TABLE = {
    "one event": (b"data: a\n\n", [b"a"]),
    "several events": (b"data: a\n\ndata: b\n\ndata: c\n\n", [b"a", b"b", b"c"]),
    "CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "line ends mixed": (b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\r", [b"a\nb\nc", b"d"]),
    "no space after the colon": (b"data:a\n\n", [b"a"]),
    "one space is dropped, not two": (b"data:  a \n\n", [b" a "]),
    "several lines": (b"data: a\ndata:\ndata: b\n\n", [b"a\n\nb"]),
    "a field without a colon": (b"data\n\n", [b""]),
    "empty data": (b"data:\n\ndata: \n\n", [b"", b""]),
    "comments": (b": ping\n\n:\ndata: a\n: pong\n\n", [b"a"]),
    "other fields": (b"event: x\nid: 1\nretry: 3\ndata: a\n\nevent: y\n\n", [b"a"]),
    "fields that only look like data": (b"dataset: a\n\nxdata: b\n\n data: c\n\n", []),
    "blank lines": (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [b"a", b"b"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    "no blank line at the end": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "nothing": (b"", []),
    "text of several bytes a character": ("data: 🙂\n\n".encode(), ["🙂".encode()]),
    "text that holds the prefix": (b"data: data: a\n\ndata: data: b\n\n", [b"data: a", b"data: b"]),
}


def parse(wire: bytes, size: int | None = None, limit: int = 1 << 20) -> list[bytes]:
    parser = SseParser(limit)
    return [data for piece in pieces(wire, size) for data in parser.feed(piece)] + parser.close()


@pytest.mark.parametrize("size", [None, 64, 2, 1])
@pytest.mark.parametrize(("wire", "expected"), TABLE.values(), ids=TABLE)
def test_each_rule_holds_in_pieces_of_any_size(wire: bytes, expected: list[bytes], size: int | None) -> None:
    """Whole, in 64 bytes, in pairs and byte by byte."""
    assert parse(wire, size) == expected


TOKENS = [
    b"data: ",
    b"data:",
    b"data",
    b"event: e",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b":",
    b" ",
    b"x",
    b"\xef\xbb\xbf",
]


@given(st.lists(st.sampled_from(TOKENS)), st.lists(st.integers(0, 60)))
def test_where_the_reads_end_changes_nothing(tokens: list[bytes], cuts: list[int]) -> None:
    """Any text, cut anywhere, empty reads too, parses as it does whole and line by line."""
    wire = b"".join(tokens)
    parser = SseParser(1 << 20)
    edges = [0, *sorted(cuts), len(wire)]
    in_parts = [data for start, end in itertools.pairwise(edges) for data in parser.feed(wire[start:end])]
    assert in_parts + parser.close() == parse(wire) == by_the_book(wire)


def by_the_book(wire: bytes) -> list[bytes]:
    """Parse as the standard tells it, a line at a time."""
    events: list[bytes] = []
    data: list[bytes] = []
    text = wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in [*text.split(b"\n"), b""]:
        field, _, value = line.partition(b":")
        if not line and data:
            events.append(b"\n".join(data))
            data = []
        elif field == b"data":
            data.append(value.removeprefix(b" "))
    return events


@pytest.mark.parametrize("size", [None, 64, 1])
def test_an_event_is_bounded_and_a_stream_is_not(size: int | None) -> None:
    """An event of just the bound passes, one byte more fails, with or without its end."""
    fits = b"data: " + b"x" * 94
    assert parse((fits + b"\n\n") * 10, size, limit=100) == [b"x" * 94] * 10
    for wire in (fits + b"x\n\n", fits + b"xyz", fits + b"\n:\n\n"):
        with pytest.raises(ValueError, match="more than 100 bytes"):
            parse(wire, size, limit=100)
