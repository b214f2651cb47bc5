"""The parser of newline-delimited JSON: literal wire text in, lines out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.testing.wire import pieces
from portico_adapters._ndjson import NdjsonParser

# Wire text -> its lines, one row per rule.
TABLE = {
    "one line": (b"{}\n", [b"{}"]),
    "several lines": (b"{}\n[]\n1\n", [b"{}", b"[]", b"1"]),
    "CR LF": (b"{}\r\n[]\r\n", [b"{}\r", b"[]\r"]),
    "blank lines": (b"\n\r\n{}\n \t\n\n[]\n\n", [b"{}", b"[]"]),
    "no LF at the end": (b'{}\n{"error":"x"}', [b"{}", b'{"error":"x"}']),
    "blanks at the end": (b"{}\n  \r", [b"{}"]),
    "nothing": (b"", []),
    "text of several bytes a character": ('"🙂"\n'.encode(), ['"🙂"'.encode()]),
}


def parse(wire: bytes, size: int | None = None, limit: int = 1 << 20) -> list[bytes]:
    parser = NdjsonParser(limit)
    return [line for piece in pieces(wire, size) for line in parser.feed(piece)] + parser.close()


@pytest.mark.parametrize("size", [None, 64, 2, 1])
@pytest.mark.parametrize(("wire", "expected"), TABLE.values(), ids=TABLE)
def test_each_rule_holds_in_pieces_of_any_size(wire: bytes, expected: list[bytes], size: int | None) -> None:
    """Whole, in 64 bytes, in pairs and byte by byte."""
    assert parse(wire, size) == expected


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"{}", b" ", b"\xf0\x9f"])).map(b"".join), st.data())
def test_where_reads_end_changes_nothing(wire: bytes, data: st.DataObject) -> None:
    """Any text, cut anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    parser = NdjsonParser(1 << 20)
    lines = [line for a, b in itertools.pairwise([0, *cuts, len(wire)]) for line in parser.feed(wire[a:b])]
    assert lines + parser.close() == parse(wire)


def test_a_line_arrives_with_the_read_that_ends_it() -> None:
    """Nothing waits for the next line."""
    parser = NdjsonParser(100)
    assert parser.feed(b'{"a"') == []
    assert parser.feed(b':1}\n{"b"') == [b'{"a":1}']
    assert parser.close() == [b'{"b"']


@pytest.mark.parametrize("size", [None, 4, 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_may_be_as_large_as_the_bound_and_no_larger(size: int | None, end: bytes) -> None:
    """However it is cut, and whether or not it ends; the lines around it do not count."""
    assert parse(b"{}\n" + b"x" * 10 + end, size, limit=10) == [b"{}", b"x" * 10]
    with pytest.raises(ValueError, match="more than 10 bytes"):
        parse(b"{}\n" + b"x" * 11 + end, size, limit=10)


def test_a_line_of_many_pieces_costs_what_its_size_costs() -> None:
    """Pieces are joined once: a megabyte in 16-byte reads is no matter of minutes."""
    line = b"x" * (1 << 20)
    assert parse(line + b"\n", 16, limit=1 << 20) == [line]
