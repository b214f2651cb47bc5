"""What whole answers and streams share: what the end of an answer means. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico_adapters._reading import read

_NULL: Final = (b"", b"null")

# What is not here is a "stop" of a new kind.
_FINISH: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# Of these OpenAI's word says all.
_PLAIN: Final = ("end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal")


class Refusal(Struct):
    """Why a model refused."""

    explanation: str | None = None


class End(Struct):
    """Why an answer ended: members of a whole one, and of the delta that ends a stream."""

    stop_reason: str | None = None
    #: The text that ended it, for the stop_reason of that name.
    stop_sequence: str | None = None
    #: More about a refusal.
    stop_details: Raw = Raw(b"")
    #: Where code ran: a request that names it goes on there.
    container: Raw = Raw(b"")
    #: What of the history the API left out. In a stream it stands beside the delta.
    context_management: Raw = Raw(b"")

    def finish_reason(self, *, called: bool, legacy: bool) -> str:
        """Return OpenAI's word. ``legacy``: the caller knows function_call and not tool_calls."""
        reason = _FINISH.get(self.stop_reason, "stop") if self.stop_reason else None
        reason = reason or ("tool_calls" if called else "stop")
        return "function_call" if legacy and reason == "tool_calls" else reason

    def extra_json(self) -> str:
        """Return what OpenAI's word does not say, for the choice."""
        extra: dict[str, object] = {}
        if self.stop_reason and self.stop_reason not in _PLAIN:
            extra["native_finish_reason"] = self.stop_reason
        if self.stop_sequence is not None:
            extra["stop_sequence"] = self.stop_sequence
        for name in ("stop_details", "container", "context_management"):
            if given(value := getattr(self, name)):
                extra[name] = value
        return encode(extra).decode() if extra else ""

    def refusal(self) -> str | None:
        """Return the words in which the model, or a filter before it, refused."""
        if self.stop_reason != "refusal" or not given(self.stop_details):
            return None
        return read(self.stop_details, _REFUSALS).explanation


_REFUSALS: Final = Decoder(Refusal)


def given(value: Raw) -> bool:
    """Whether a carried value is there and not null."""
    return bytes(value) not in _NULL
