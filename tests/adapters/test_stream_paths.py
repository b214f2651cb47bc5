"""The quick paths of a stream tell what the slow ones tell, however its bytes are cut into reads."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.errors import GatewayError
from portico.openai.chunks import ChunkParser, ChunkRenderer
from portico.v1.chunk_pb2 import ChunkHeader
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._chunk_stream import ChunkStream
from portico_core.operations import STREAM
from portico_core.progress import Progress

thorough = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

# Around the bounds of a run's texts, in bytes of UTF-8, and what JSON or the events' form must not confuse.
TEXTS: Final = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["", '"', "\\", "\n\n", "\u2028", "data: [DONE]", '"content":"x"']),
    st.sampled_from([118, 119, 127, 128, 254, 255, 256, 1000]).map("x".__mul__),
    st.sampled_from([63, 64, 127, 128]).map("é".__mul__),
)
# Beside texts alone, which are nearly all there is.
_DELTAS: Final = st.one_of(
    st.sampled_from([{}, {"content": None}, {"role": "assistant", "content": ""}]),
    st.builds(lambda text: {"role": "assistant", "content": text}, TEXTS),
    st.builds(lambda text: {"reasoning_content": text}, TEXTS),
    st.builds(lambda text: {"content": text, "x": 1}, TEXTS),
    st.builds(lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}, TEXTS),
)
# Members of an event that nearly none has.
_MORE: Final = st.sampled_from(
    list[dict[str, Any]](
        [
            {"obfuscation": "abc"},
            {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
            {"usage": None},
            {"id": "another"},
            {"id": 7},
            {"choices": []},
            {"error": {"message": "no"}},
        ]
    )
)


class _Told(NamedTuple):
    """What comes of a stream."""

    chunks: list[tuple[bytes, bytes]]
    body: bytes
    progress: tuple[Any, ...]
    error: str


class _Slow(ChunkParser):
    """Reads each event by itself."""

    def parse_run(self, _events: Sequence[bytes], _at: int, _into: StreamResponse) -> int:
        return 0


@st.composite
def _event(draw: st.DrawFn, turned: bool, separators: tuple[str, str] | None) -> bytes:
    usual = draw(st.integers(0, 9)) < 8
    choice = {
        "index": draw(st.sampled_from([0, 0, 0, 1])),
        "delta": {"content": draw(TEXTS)} if usual else draw(_DELTAS),
        "finish_reason": None if draw(st.integers(0, 19)) else "stop",
    }
    if turned:
        choice = dict(reversed(choice.items()))
    more = {} if draw(st.integers(0, 9)) else draw(_MORE)
    value = {"id": "c", "created": 1, "choices": [choice], **more}
    told = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators)
    return b"data: " + told.encode("utf-8", "surrogatepass") + b"\n\n"


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Return a stream whose events are all written in one way, as by one server."""
    event = _event(draw(st.booleans()), draw(st.sampled_from([None, (",", ":")])))
    events = draw(st.lists(event, max_size=30))
    return b"".join(events) + draw(
        st.sampled_from([b"", b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: no JSON\n\n"])
    )


def _reads(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


def _messages(stream: ChunkStream[StreamResponse], reads: Iterable[bytes]) -> Iterator[StreamResponse]:
    for read in reads:
        yield from stream.feed(read)
        if stream.done:
            return
    yield from stream.close()


def _told(reads: list[bytes], *, slow: bool) -> _Told:
    """Take a stream through adapter, core and facade. ``slow``: by no path that takes chunks together."""
    stream = ChunkStream(StreamResponse, _Slow() if slow else ChunkParser(), 2**20, lambda _: [])
    progress = Progress(STREAM.has_content, STREAM.text_of, (lambda _: ((), True)) if slow else STREAM.runs())
    renderer = ChunkRenderer(include_usage=True)
    header, chunks, body, late, error = ChunkHeader(), list[tuple[bytes, bytes]](), b"", False, ""
    try:
        for message in _messages(stream, reads):
            progress.take(message)
            late = late or progress.late
            header = message.header if message.HasField("header") else header
            chunks += [(header.SerializeToString(), chunk.SerializeToString()) for chunk in message.chunks]
            # A header keeps the renderer from its quick path, too.
            apart = [StreamResponse(header=header, chunks=[chunk]) for chunk in message.chunks]
            body += b"".join(map(renderer.render, apart if slow else [message]))
    except GatewayError as raised:
        error = str(raised)
    state = (progress.whole, progress.committed, progress.size, progress.usage, progress.contradiction, late)
    return _Told(chunks, body + renderer.finish(), state, error)


@thorough
@given(_bodies(), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_stream_tells_the_same_by_the_quick_paths_and_the_slow(body: bytes, cuts: list[int]) -> None:
    """Its chunks and their headers, what a client reads, what the core makes of it, and its error."""
    assert _told(_reads(body, cuts), slow=False) == _told(_reads(body, ()), slow=True)
