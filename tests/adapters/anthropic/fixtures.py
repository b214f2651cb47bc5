"""What the tests of this adapter share: the files of wire text, and calls."""

from pathlib import Path
from typing import Any

from portico.adapter import UpstreamCall
from portico_adapters.anthropic.settings import AnthropicSettings
from tests.adapters.calls import chat_of, greeting

WIRE = Path(__file__).parents[1] / "wire" / "anthropic"

#: One name per pair of answers: NAME.json is the whole one, NAME.txt says the same as a stream,
#: NAME.openai.json and NAME.sse are what a caller of OpenAI's API reads instead.
ANSWERS = sorted(file.stem for file in WIRE.glob("answers/*.txt"))

#: The model's name at the backend; callers ask for gpt-4.
MODEL = "claude-sonnet-4-5"

CALL = greeting(MODEL)


def read(name: str) -> bytes:
    """Return the text of a file with an answer."""
    return (WIRE / "answers" / name).read_bytes()


def chat_call(model: str = MODEL, **members: Any) -> UpstreamCall:
    """Return the call for a request of OpenAI's API with these members, and one message."""
    return chat_of(model, **members)


def settings_for(url: str = "https://api.anthropic.com", **members: Any) -> AnthropicSettings:
    """Return a backend's settings."""
    return AnthropicSettings(url=url, **members)
