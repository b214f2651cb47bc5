"""What the tests of this adapter share: the files of wire text, and calls."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from portico.adapter import UpstreamCall
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters.cohere.chat_stream import ChatStream
from tests.adapters.calls import chat_of, greeting

WIRE = Path(__file__).parents[1] / "wire" / "cohere"

#: One name per pair of answers: NAME.json is the whole one, NAME.txt says the same as a stream, and
#: NAME.openai.json is what a caller of OpenAI's API reads instead.
ANSWERS = sorted(file.stem for file in WIRE.glob("answers/*.txt"))

MODEL = "command-a-03-2025"

CALL = greeting(MODEL)


def read(name: str) -> bytes:
    """Return the text of a file with an answer."""
    return (WIRE / "answers" / name).read_bytes()


def chat_call(**members: Any) -> UpstreamCall:
    """Return the call for a request of OpenAI's API with these members, and one message."""
    return chat_of(MODEL, **members)


def events(*told: Any) -> bytes:
    """Return a stream of these events."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in told)


def translated(wire: bytes, cuts: Sequence[int] = (), call: UpstreamCall = CALL) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives cut at these places."""
    translation = Translation(StreamResponse, SseParser(1 << 20), ChatStream(call, callers_key=False))
    for start, end in itertools.pairwise([0, *sorted(cuts), len(wire)]):
        yield from translation.feed(wire[start:end])
    yield from translation.close()
