"""A second answer goes on where it repeats the first; two answers are never spliced."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico_core.broken.echo import Echo
from portico_core.broken.seam import DivergedError, Seam
from tests.support.core import chunk, finish, role, text

_TEXTS = st.text("ab ", max_size=12)


def cut(whole: str, places: Sequence[int]) -> list[str]:
    """Cut a text into pieces, some of them empty."""
    marks = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(marks)]


@given(_TEXTS, st.data(), st.booleans(), st.lists(st.integers(0, 99), max_size=6))
def test_the_caller_sees_a_beginning_of_the_first_or_exactly_the_second(
    first: str, data: st.DataObject, begins_alike: bool, places: list[int]
) -> None:
    sent = first[: data.draw(st.integers(0, len(first)))]
    second = (sent if begins_alike else "") + data.draw(_TEXTS)
    seam, seen, whole = Seam(sent, continues=False), sent, False
    try:
        for message in (role(), *map(text, cut(second, places)), finish()):
            passed = seam.take(message)
            for each in passed.chunks if passed else ():
                seen += "".join(choice.delta.content for choice in each.choices)
                whole = whole or any(choice.finish_reason for choice in each.choices)
    except DivergedError:
        assert (seen, whole) == (sent, False)
        assert not second.startswith(sent)
    else:
        assert (seen, whole) == (second, True)


@given(_TEXTS, _TEXTS, st.lists(st.integers(0, 99), max_size=6))
def test_how_a_text_is_cut_does_not_matter(sent: str, second: str, places: list[int]) -> None:
    echo = Echo(sent)
    news = [echo.take(piece) for piece in cut(second, places)]
    if None in news:
        assert not second.startswith(sent)
    else:
        assert echo.over == second.startswith(sent)
        assert "".join(filter(None, news)) == second[len(sent) :]


_OTHERS = {
    "reasoning": Delta(reasoning_content="hm"),
    "a refusal": Delta(refusal="no"),
    "a vendor's own content": Delta(extra_json='{"thinking":"hm"}'),
}


@pytest.mark.parametrize("delta", _OTHERS.values(), ids=_OTHERS)
@pytest.mark.parametrize("continues", [False, True])
def test_what_is_not_text_does_not_repeat_a_text(delta: Delta, continues: bool) -> None:
    seam = Seam("" if continues else "ab", continues=continues)
    with pytest.raises(DivergedError):
        seam.take(StreamResponse(chunks=[ChatChunk(choices=[ChunkChoice(index=0, delta=delta)])]))


def test_after_the_seam_everything_goes_through_and_the_answer_keeps_its_id() -> None:
    seam = Seam("ab", continues=False)
    first = StreamResponse(chunks=[chunk(role="assistant", content="ab")])
    first.header.id, first.header.model = "another", "m"
    assert seam.take(first) is None
    passed = seam.take(StreamResponse(chunks=[chunk(reasoning_content="hm"), chunk(content="c")]))
    assert passed is not None
    assert not passed.HasField("header")
    assert [each.choices[0].delta for each in passed.chunks] == [
        Delta(reasoning_content="hm"),
        Delta(content="c"),
    ]
