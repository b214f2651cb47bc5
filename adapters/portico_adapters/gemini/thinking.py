"""``reasoning_effort`` as Gemini's ``thinkingConfig``. Pure.

Source: Google's "OpenAI compatibility", whose table this is, and "Gemini thinking". Models up to 2.5 are
told a budget of tokens, later ones a level.
"""

import re
from collections.abc import Mapping
from typing import Final

from portico.adapter import UpstreamCall

_BUDGETED: Final = re.compile(r"gemini-([12]\b|robotics-er-1\.5|(pro|flash|flash-lite)\b(?!-latest))")

# It thinks at least 128 tokens long, and refuses a budget of 0 ("Gemini thinking").
_ALWAYS: Final = re.compile(r"gemini-2\.5-pro")

_BUDGET: Final[Mapping[str, int]] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
}
_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")


def budgeted(model: str) -> bool:
    """Whether a model, by its name, is told a budget and does not ask for signatures.

    Names that tell no generation are taken for the newest.
    """
    return _BUDGETED.search(model.lower()) is not None


def thinking_of(call: UpstreamCall) -> dict[str, object]:
    """Return ``thinkingConfig``; empty where nothing is asked. Raise 400 for an effort that there is not."""
    if not call.params.HasField("reasoning_effort"):
        return {}
    effort = call.params.reasoning_effort
    if budgeted(call.model):
        if effort in _BUDGET and (_BUDGET[effort] or not _ALWAYS.search(call.model.lower())):
            return {
                "thinkingBudget": _BUDGET[effort],
                **({"includeThoughts": True} if _BUDGET[effort] else {}),
            }
    elif effort in _LEVELS:
        return {"thinkingLevel": effort, "includeThoughts": True}
    call.unsupported(f"{effort} as reasoning_effort", "reasoning_effort")
    return {}
