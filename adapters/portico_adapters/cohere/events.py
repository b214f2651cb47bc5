"""The events of a stream of Cohere's POST /v2/chat, as they are read. Pure."""

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico_adapters.cohere.answers import Logprob
from portico_adapters.cohere.chat_answer import Block, Called
from portico_adapters.cohere.usage import Counts

_NULL: Final = Raw(b"null")


class Event(Struct):
    """One event."""

    type: str | None = None
    id: str | None = None
    #: Which block of content, or which call.
    index: int | None = None
    delta: Raw = _NULL
    logprobs: Logprob | None = None
    #: An error, which has no type.
    message: str | None = None


class _Content(Struct):
    content: Block | None = None


class _Calls(Struct):
    tool_calls: Called | None = None


class _Plan(Struct):
    tool_plan: str | None = None


class _Citations(Struct):
    citations: Raw = _NULL


class _ContentDelta(Struct):
    message: _Content | None = None


class _CallsDelta(Struct):
    message: _Calls | None = None


class _PlanDelta(Struct):
    message: _Plan | None = None


class _CitationsDelta(Struct):
    message: _Citations | None = None


class End(Struct):
    """What the last event tells."""

    finish_reason: str | None = None
    usage: Counts | None = None
    error: str | None = None


EVENT: Final = Decoder(Event)
CONTENT: Final = Decoder(_ContentDelta | None)
CALLS: Final = Decoder(_CallsDelta | None)
PLAN_DELTA: Final = Decoder(_PlanDelta | None)
CITATIONS: Final = Decoder(_CitationsDelta | None)
END: Final = Decoder(End | None)
