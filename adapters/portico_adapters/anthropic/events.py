"""The events of a streamed answer of POST /v1/messages, as they are read. Pure.

message_start, then for each block content_block_start, content_block_delta…, content_block_stop, then
message_delta with the reason of the end and the counts, then message_stop. ``ping`` may come anywhere, and
so may types of events and deltas that are not invented yet.
"""

from typing import Final

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder, format

from portico_adapters._reading import read, unreadable
from portico_adapters.anthropic.answers import End
from portico_adapters.anthropic.usage import Counted


class Started(Struct):
    """The message that begins."""

    id: str | None = None
    usage: Counted | None = None


class Told(End):
    """What a block, or the end of the message, brings."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Raw = Raw(b"")


class Event(Struct):
    """An event of any type."""

    type: str = ""
    index: int = 0
    message: Started | None = None
    content_block: Raw = Raw(b"")
    delta: Told | None = None
    usage: Counted | None = None
    #: Beside the delta that ends a stream.
    context_management: Raw = Raw(b"")


class _NewDelta(Struct):
    delta: dict[str, Raw]


class _Typed(Struct):
    type: str = ""


_EVENTS: Final = Decoder(Event)
_TYPES: Final = Decoder(_Typed)
_NEW: Final = Decoder(_NewDelta)

_READ: Final = (
    *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
    *("message_delta", "message_stop", "error"),
)
#: Deltas that are read. The one that ends a message has no type.
DELTAS: Final = (
    *("text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"),
    "",
)


def read_event(event: bytes) -> Event | None:
    """Return an event of a known type; None for the others, whatever they hold."""
    try:
        # What is carried must not break the lines of the stream that it goes into.
        told = _EVENTS.decode(_in_one_line(event))
    except (ValidationError, RecursionError) as problem:
        if read(event, _TYPES).type in _READ:
            raise unreadable(str(problem)) from problem
        return None
    except ValueError as problem:
        raise unreadable(str(problem)) from problem
    return told if told.type in _READ else None


def members_of_delta(event: bytes) -> dict[str, Raw]:
    """Return what a delta of a type that is not read says."""
    members = read(_in_one_line(event), _NEW).delta
    del members["type"]
    return members


def _in_one_line(event: bytes) -> bytes:
    return format(event, indent=-1) if b"\n" in event else event
