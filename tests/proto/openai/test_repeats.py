"""What repeats the event before it is read as if it stood alone."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.openai.chunks import ChunkParser
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import StreamResponse

TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(['"content":', '\\"', '"}', "\\", "", "é\u2028"]))

# Members of an event around its text: usual ones, and all that could be taken for one.
DELTAS = [
    '{"content":%s}',
    '{"content": %s}',
    '{"content" :%s}',
    '{"content":%s,"role":"assistant"}',
    '{"content":%s,"content":"last"}',
    '{"content":%s,"content" :"last"}',
    '{"content":%s,"reasoning":"same"}',
    '{"refusal":null,"content":%s}',
    '{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}',
    '{"x":{"content":%s}}',
    '{"reasoning_content":%s,"content":null}',
    "{}",
]
FORMS = [
    '{"id":"%s","choices":[{"index":%d,"delta":%s,"finish_reason":null}]}',
    '{"id":"%s","choices":[{"delta":%s,"index":%d}],"obfuscation":"ab"}',
    '{"choices":[{"index":%d,"delta":%s,"logprobs":null}],"id":"%s","usage":null}',
]


@st.composite
def events(draw: st.DrawFn) -> bytes:
    text = json.dumps(draw(TEXTS), ensure_ascii=draw(st.booleans()))
    delta = draw(st.sampled_from(DELTAS))
    delta = delta % text if "%" in delta else delta
    name, index, form = draw(st.sampled_from("ab")), draw(st.integers(0, 1)), draw(st.sampled_from(FORMS))
    values = {0: (name, index, delta), 1: (name, delta, index), 2: (index, delta, name)}[FORMS.index(form)]
    return (form % values).encode("utf-8", "surrogatepass")


def alone(event: bytes) -> StreamResponse | None:
    """Return what a parser makes of an event that saw none before it; None: it refuses it."""
    response = StreamResponse()
    try:
        assert ChunkParser().parse(event, response)
    except ValueError:
        return None
    return response


def chunk_alone(event: bytes) -> ChatChunk:
    response = alone(event)
    assert response is not None
    return response.chunks[0]


@settings(deadline=None)
@given(st.lists(events(), max_size=12))
def test_a_parser_reads_each_event_as_another_that_reads_it_alone(found: list[bytes]) -> None:
    """Chunk by chunk, with the header that holds for it."""
    parser, header = ChunkParser(), ""
    at = 0
    while at < len(found):
        run = StreamResponse()
        taken = parser.parse_run(found, at, run)
        assert not run.HasField("header")
        assert list(run.chunks) == [chunk_alone(event) for event in found[at : at + taken]]
        at += taken
        if at == len(found):
            break
        event, at = found[at], at + 1
        expected, response = alone(event), StreamResponse()
        if expected is None:
            with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
                parser.parse(event, response)
            continue
        assert parser.parse(event, response)
        header = response.header.id if response.HasField("header") else header
        assert list(response.chunks) == list(expected.chunks)
        assert header == expected.header.id


def event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return json.dumps({"id": "x", "choices": [choice]}).encode()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 254, 255, 256, 70_000])
def test_texts_of_any_length_come_as_they_are(size: int) -> None:
    """Long ones end a run; what follows begins the next."""
    texts = ["a", "b", "\u00e9" * (size // 2) + "x" * (size % 2), "c", "d"]
    events = [event(text) for text in texts]
    parser, response, at, runs = ChunkParser(), StreamResponse(), 0, 0
    while at < len(events):
        taken = parser.parse_run(events, at, response)
        runs += taken
        if not taken:
            assert parser.parse(events[at], response)
        at += taken or 1
    assert [chunk.choices[0].delta.content for chunk in response.chunks] == texts
    assert runs == (4 if size < 256 else 3)


def test_two_events_that_are_no_json_together_are_none_apart() -> None:
    """A text that ends in the next event is refused, as it is anywhere."""
    parser, response = ChunkParser(), StreamResponse()
    assert parser.parse(event("a"), response)
    broken = event("@").replace(b'"@"', b'"b", "c"')
    assert parser.parse_run([broken, event("d")], 0, response) == 0
    with pytest.raises(ValueError, match="JSON"):
        parser.parse(broken, response)


@pytest.mark.parametrize("text", ["x", "\n"], ids=["plain", "escaped"])
def test_a_huge_text_is_read_in_memory_of_its_own_size(text: str) -> None:
    """An event may have 64 MiB; what stands around its text is found without a note of each character."""
    found = event(text * 500_000)
    tracemalloc.start()
    try:
        assert ChunkParser().parse(found, StreamResponse())
        assert tracemalloc.get_traced_memory()[1] < 4 * len(found)
    finally:
        tracemalloc.stop()
