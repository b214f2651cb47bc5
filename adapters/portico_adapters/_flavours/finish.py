"""Why an answer of OpenAI's dialect ended, in OpenAI's words. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico_adapters._flavours.members import members_of, put


class _Details(Struct):
    type: str = ""


_DETAILS: Final = Decoder(_Details)

_OPENAIS: Final = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))

# What ends an answer, at TGI and Together, xAI, Mistral, watsonx, DeepSeek, SGLang -> in OpenAI's words.
# What was cut short is no whole answer. Any other word stands for an end that is OpenAI's "stop".
_FINISHES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("model_length", "max_tokens", "max_length", "time_limit"), "length"),
    **dict.fromkeys(("insufficient_system_resource", "abort", "cancelled", "error"), "length"),
    **dict.fromkeys(("tool_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(("safety", "recitation", "content_filtered"), "content_filter"),
}
# Where the provider's own word is kept, by OpenRouter's name for it.
_NATIVE: Final = "native_finish_reason"


def settle_finish(choice: Any) -> None:
    """Bring a choice's reason to OpenAI's words. An empty one, in every chunk of some servers, is none."""
    told = choice.finish_reason
    if told in _OPENAIS:
        return
    if not told:
        choice.ClearField("finish_reason")
        return
    word = told.lower()
    if f'"{_NATIVE}"' not in choice.extra_json:
        put(choice, _NATIVE, told)
    choice.finish_reason = word if word in _OPENAIS else _FINISHES.get(word, "stop")


def end_whole(choice: Any) -> None:
    """Give a choice of a whole chat a reason where the server told none: it is at its end.

    OpenAI's first model with images told it in ``finish_details``.
    """
    if '"finish_details"' in choice.extra_json:
        details = _details(members_of(choice.extra_json).get("finish_details"))
        choice.finish_reason = choice.finish_reason or details.type
    settle_finish(choice)
    if not choice.HasField("finish_reason"):
        choice.finish_reason = "tool_calls" if choice.message.tool_calls else "stop"


def _details(told: Raw | None) -> _Details:
    try:
        return _DETAILS.decode(told or Raw(b"{}"))
    except (ValueError, RecursionError):
        return _Details()
