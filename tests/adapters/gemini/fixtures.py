"""What the tests of this adapter share: the files of wire text, and calls."""

from pathlib import Path
from typing import Any

from portico.adapter import UpstreamCall
from portico.config import Url
from portico_adapters.gemini.settings import GeminiSettings
from tests.adapters.calls import chat_of, greeting

WIRE = Path(__file__).parents[1] / "wire" / "gemini"

#: One name per pair of answers: NAME.json is the whole one, NAME.txt says the same as a stream,
#: NAME.openai.json and NAME.sse are what a caller of OpenAI's API reads instead.
ANSWERS = sorted(file.stem for file in WIRE.glob("answers/*.txt"))

#: The model's name at the backend; callers ask for gpt-4.
MODEL = "gemini-2.5-flash"
#: One that wants signatures, and is told how long to think by a level.
NEWER = "gemini-3-pro-preview"

CALL = greeting(MODEL)


def read(name: str) -> bytes:
    """Return the text of a file with an answer."""
    return (WIRE / "answers" / name).read_bytes()


def chat_call(model: str = MODEL, **members: Any) -> UpstreamCall:
    """Return the call for a request of OpenAI's API with these members, and one message."""
    return chat_of(model, request_id="req_1", **members)


def settings_for(url: str = "http://localhost:1", **members: Any) -> GeminiSettings:
    """Return a backend's settings."""
    return GeminiSettings(url=Url(url), **members)
