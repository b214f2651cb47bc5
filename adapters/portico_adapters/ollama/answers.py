"""What the answers of all endpoints share: their shape, and how to read it. Pure."""

import time
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct
from msgspec.json import Decoder

from portico.errors import upstream_failed
from portico.openai.errors import error_in
from portico.v1.usage_pb2 import Usage
from portico_adapters import _reading
from portico_adapters._reading import Count

S = TypeVar("S", bound=Struct)

Octet = Annotated[int, Meta(ge=0, le=255)]

# Answers to a request that only moved a model in or out of memory.
_LOADED: Final = ("load", "unload")


class Logprob(Struct):
    """One token and how likely it was."""

    token: str = ""
    logprob: float = 0.0
    bytes: list[Octet] | None = None
    top_logprobs: list["Logprob"] | None = None


class Generated(Struct):
    """What a line of a stream and a whole answer have in common, of /api/chat and /api/generate."""

    #: RFC 3339, to the nanosecond.
    created_at: str | None = None
    #: The answer is whole; the members below come with it.
    done: bool = False
    #: "stop", "length", "load", "unload"; older servers send none.
    done_reason: str | None = None
    #: Left out where it is 0: the whole prompt was cached.
    prompt_eval_count: Count | None = None
    eval_count: Count | None = None
    logprobs: list[Logprob] | None = None

    def check(self) -> None:
        """Raise where the backend did not generate at all."""
        if self.done and self.done_reason in _LOADED:
            raise upstream_failed("The backend sent no answer.", f"done_reason: {self.done_reason}")

    def created(self) -> int:
        """Return the Unix seconds at which this was made; now where the backend does not say."""
        return unix_seconds(self.created_at) or int(time.time())

    def new_id(self, prefix: str, request_id: str, number: int = 0) -> str:
        """Return an id in the style of OpenAI's. Ollama gives answers none, and older servers no tool calls.

        It follows from what it names, so that the translation stays a function of its input.
        """
        named = f"{request_id} {self.created_at} {number}".encode()
        return prefix + sha256(named).hexdigest()[:24]

    def usage(self) -> Usage | None:
        """Return the usage; None where the backend counted nothing."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        prompt, completion = self.prompt_eval_count or 0, self.eval_count or 0
        return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def read(data: bytes, decoder: Decoder[S]) -> S:
    """Read a whole answer or a line of a stream; raise the error that it tells or that it is."""
    error = error_in(data)
    if error is not None:
        raise error
    return _reading.read(data, decoder)


def unix_seconds(moment: str | None) -> int | None:
    """Return an RFC 3339 time as Unix seconds. None: there is none, or Go's zero time, year 1."""
    try:
        seconds = datetime.fromisoformat(moment or "").timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) if seconds > 0 else None
