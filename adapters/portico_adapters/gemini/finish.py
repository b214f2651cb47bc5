"""Why Gemini stopped, in OpenAI's words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.errors import GatewayError, upstream_failed
from portico_adapters.gemini.answers import Candidate, Enum

_FILTERED: Final = "content_filter"

_REASONS: Final[Mapping[str, str]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "JAILBREAK"),
        ),
        _FILTERED,
    ),
}

# The model failed to make what was asked for: another attempt may succeed.
_FAILED: Final = frozenset(
    {
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
        *("MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"),
    }
)

# The numbers of Vertex's enum (google/cloud/aiplatform/v1/content.proto), for answers with integers.
_NUMBERS: Final[Sequence[str]] = (
    *("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST"),
    *("PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "MODEL_ARMOR", "IMAGE_SAFETY"),
    *("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "UNEXPECTED_TOOL_CALL", "NO_IMAGE"),
)
_UNTOLD: Final = ("", "FINISH_REASON_UNSPECIFIED")


def native_reason(candidate: Candidate) -> str:
    """Return Gemini's own word; empty: it has not stopped yet. Raise where the model failed."""
    reason = _name(candidate.finish_reason)
    if reason in _FAILED:
        raise _failure(reason, candidate.finish_message)
    return reason


def finish_reason(native: str, *, called: bool, legacy: bool) -> str:
    """Return OpenAI's word for Gemini's.

    ``called``: the answer has tool calls; ``legacy``: in the deprecated form.
    """
    if called and native == "STOP":
        return "function_call" if legacy else "tool_calls"
    return _REASONS.get(native, _FILTERED if native.startswith("IMAGE_") else "stop")


def says_more(native: str) -> bool:
    """Whether Gemini's word tells more than OpenAI's."""
    return native not in ("STOP", "MAX_TOKENS")


def _name(reason: Enum) -> str:
    if isinstance(reason, int):
        reason = _NUMBERS[reason] if 0 <= reason < len(_NUMBERS) else str(reason)
    return "" if reason is None or reason in _UNTOLD else reason


def _failure(reason: str, message: str | None) -> GatewayError:
    return upstream_failed(f"The model failed to answer ({reason}).", message or "")
