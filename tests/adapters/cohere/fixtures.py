"""What the tests of this adapter share: the files of wire text, and calls."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from portico.adapter import UpstreamCall
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico_adapters._sse import SseParser
from portico_adapters._translation import Translation
from portico_adapters.cohere.chat_stream import ChatStream

WIRE = Path(__file__).parents[1] / "wire" / "cohere"

#: One name per pair of answers: NAME.json is the whole one, NAME.txt says the same as a stream, and
#: NAME.openai.json is what a caller of OpenAI's API reads instead.
ANSWERS = sorted(file.stem for file in WIRE.glob("answers/*.txt"))

MODEL = "command-a-03-2025"

CALL = UpstreamCall(
    ChatCompletionParams(model="gpt-4", messages=[ChatMessage(role="user", content="Hello?")]),
    MODEL,
    request_id="req_1",
)


def read(name: str) -> bytes:
    """Return the text of a file with an answer."""
    return (WIRE / "answers" / name).read_bytes()


def chat_call(**members: Any) -> UpstreamCall:
    """Return the call for a request of OpenAI's API with these members, and one message."""
    request = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}], **members}
    return UpstreamCall(parse_chat(json.dumps(request).encode())[0], MODEL)


def events(*told: Any) -> bytes:
    """Return a stream of these events."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in told)


def translated(wire: bytes, cuts: Sequence[int] = (), call: UpstreamCall = CALL) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives cut at these places."""
    translation = Translation(StreamResponse, SseParser(1 << 20), ChatStream(call, callers_key=False))
    for start, end in itertools.pairwise([0, *sorted(cuts), len(wire)]):
        yield from translation.feed(wire[start:end])
    yield from translation.close()
