"""Where bodies end, as pure functions: at every cut, and with many chunks."""

import pytest

from portico.errors import GatewayError
from portico_facade.framing import Chunked, Measured

CHUNKS = b"5\r\nhello\r\n1\r\n \r\n0A\r\nwide world\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", range(1, len(CHUNKS) + 6))
def test_a_chunked_body_is_the_same_however_it_comes(step: int) -> None:
    """And what follows it is left alone."""
    raw, body, got = CHUNKS + b"after", Chunked(), b""
    for start in range(0, len(raw), step):
        piece, rest = body.take(raw[start : start + step])
        got += piece
        if rest is not None:
            assert got == b"hello wide world"
            assert rest + raw[start + step :] == b"after"
            return
        assert start + step < len(raw)
    pytest.fail("it has no end")


@pytest.mark.parametrize("step", range(1, 9))
def test_a_measured_body_ends_after_its_length(step: int) -> None:
    """Neither earlier nor later."""
    raw, body, got = b"hello" + b"xyz", Measured(5), b""
    for start in range(0, len(raw), step):
        piece, rest = body.take(raw[start : start + step])
        got += piece
        if rest is not None:
            assert (got, rest + raw[start + step :]) == (b"hello", b"xyz")
            return
    pytest.fail("it has no end")


def test_small_chunks_become_one_piece() -> None:
    """What a body keeps is not a multiple of what it holds."""
    assert Chunked().take(b"1\r\nx\r\n" * 10_000) == (b"x" * 10_000, None)


@pytest.mark.parametrize("raw", [b"g\r\n", b"\r\n", b"1\r\nxy", b"0\r\nX", b"1\n", b"1;\r\n", b"f" * 17])
def test_what_is_no_chunk_is_refused(raw: bytes) -> None:
    """As soon as its line is there."""
    with pytest.raises(GatewayError):
        Chunked().take(raw + b"\n")
