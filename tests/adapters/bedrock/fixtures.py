"""What the tests of this adapter share: the files of wire text, calls, and a writer of event streams."""

import json
from binascii import crc32
from pathlib import Path
from struct import pack
from typing import Any, Final

from portico.adapter import UpstreamCall
from portico.secret import Secret
from portico_adapters.bedrock.settings import BedrockSettings
from tests.adapters.calls import chat_of, greeting

WIRE: Final = Path(__file__).parents[1] / "wire" / "bedrock"

#: One name per pair of answers: NAME.json is the whole one, NAME.jsonl says the same as a stream, a line for
#: each frame; NAME.openai.json and NAME.sse are what a caller of OpenAI's API reads instead.
ANSWERS: Final = sorted(file.stem for file in WIRE.glob("answers/*.jsonl"))

#: The model's name at the backend; callers ask for gpt-4.
MODEL: Final = "anthropic.claude-sonnet-4-5-20250929-v1:0"

CALL: Final = greeting(MODEL)

KEYS: Final[dict[str, Any]] = {
    "access_key_id": Secret("AKIDEXAMPLE"),
    "secret_access_key": Secret("wJalrXUtnFEMI"),
}


def read(name: str) -> bytes:
    """Return the text of a file with an answer."""
    return (WIRE / "answers" / name).read_bytes()


def frames_of(name: str) -> list[bytes]:
    """Return the stream that a file describes, frame by frame."""
    return [frame(**json.loads(line)) for line in read(f"{name}.jsonl").splitlines()]


def frame(payload: Any = None, **headers: str) -> bytes:
    """Return a frame with these headers, less the colon; those of an event where none says otherwise.

    By AWS's "Event stream encoding": lengths and their checksum, headers, payload, checksum of it all.
    """
    named = {"message-type": "event", "content-type": "application/json", **headers}
    head = b"".join(_header(f":{name.replace('_', '-')}", value) for name, value in named.items())
    body = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    prelude = pack(">II", 16 + len(head) + len(body), len(head))
    start = prelude + pack(">I", crc32(prelude)) + head + body
    return start + pack(">I", crc32(start))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(text)) + text


def event(kind: str, **payload: Any) -> bytes:
    """Return the frame of an event of this kind."""
    return frame(payload, **{"event-type": kind})


def exception(kind: str, message: str) -> bytes:
    """Return the frame of an exception of this kind."""
    return frame({"message": message}, **{"message-type": "exception", "exception-type": kind})


def chat_call(**members: Any) -> UpstreamCall:
    """Return the call for a request of OpenAI's API with these members, and one message."""
    return chat_of(MODEL, backend="aws", **members)


def settings_for(url: str = "http://localhost:1", **members: Any) -> BedrockSettings:
    """Return a backend's settings."""
    return BedrockSettings(**{"region": "us-east-1", "url": url, **KEYS, **members})
