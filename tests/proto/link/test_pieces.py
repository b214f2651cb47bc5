"""Messages in pieces, and whole again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.link.pieces import PIECE, Joiner, pieces

SIZES = st.one_of(
    st.integers(0, 64),
    st.integers(1, 4).flatmap(lambda count: st.integers(count * PIECE - 2, count * PIECE + 2)),
)


@given(st.lists(SIZES, max_size=5))
def test_messages_come_whole_out_of_their_pieces(sizes: list[int]) -> None:
    """Whatever their sizes; no piece is too large, none but an empty message's is empty."""
    messages = [bytes(index % 251 for index in range(size)) for size in sizes]
    joiner, joined = Joiner(5 * PIECE), list[bytes]()
    for message in messages:
        for piece, more in pieces(message):
            assert len(piece) == PIECE or (not more and (0 < len(piece) < PIECE or not message))
            if (whole := joiner.add(piece, more)) is not None:
                joined.append(whole)
                assert not more
    assert joined == messages


def test_a_message_has_a_limit() -> None:
    """It counts for each message, in all of its pieces together."""
    joiner = Joiner(10)
    for _ in range(3):
        assert joiner.add(b"12345", more=True) is None
        assert joiner.add(b"12345", more=False) == b"1234512345"
    joiner.add(b"12345", more=True)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        joiner.add(b"123456", more=False)
