"""What repeats the event before it is read as if it stood alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.openai.chunks import ChunkParser
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


@given(st.lists(events(), max_size=12))
def test_a_parser_reads_each_event_as_another_that_reads_it_alone(found: list[bytes]) -> None:
    """Chunk by chunk, with the header that holds for it."""
    parser, header = ChunkParser(), ""
    for event in found:
        expected, response = alone(event), StreamResponse()
        if expected is None:
            with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
                parser.parse(event, response)
            continue
        assert parser.parse(event, response)
        header = response.header.id if response.HasField("header") else header
        assert list(response.chunks) == list(expected.chunks)
        assert header == expected.header.id


def test_a_long_stream_of_repeats_keeps_its_texts() -> None:
    """Beyond what one message is used for."""
    parser, response = ChunkParser(), StreamResponse()
    texts = [f"{number} " * 200 for number in range(500)]
    for text in texts:
        event = {"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        assert parser.parse(json.dumps(event).encode(), response)
    assert [chunk.choices[0].delta.content for chunk in response.chunks] == texts
