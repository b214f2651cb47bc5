"""OpenAI's reasoning_effort, and what a model that thinks does not take beside it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_adapters.anthropic.abilities import Abilities, Thinking
from portico_adapters.anthropic.messages import unthinking
from portico_adapters.anthropic.parts import Block

_EFFORT: Final = "reasoning_effort"

#: Effort in OpenAI's words -> in the API's, and as tokens for models that think by budget.
_EFFORTS: Final[Mapping[str, tuple[str, int]]] = {
    "minimal": ("low", 1_024),
    "low": ("low", 4_096),
    "medium": ("medium", 10_240),
    "high": ("high", 24_576),
    "xhigh": ("xhigh", 32_000),
    "max": ("max", 48_000),
}

#: The API takes no smaller budget.
_LEAST: Final = 1_024


def thinks(params: ChatCompletionParams) -> bool:
    """Tell whether a request asks for thoughts, in OpenAI's words or in the API's."""
    return params.reasoning_effort not in ("", "none") or '"thinking"' in params.extra_json


def thinking_for(
    call: UpstreamCall, abilities: Abilities, max_tokens: int, turns: Sequence[Block]
) -> dict[str, Block]:
    """Return the members ``thinking`` and ``output_config``; raise 400 for what the model cannot do."""
    if not call.params.HasField("reasoning_effort"):
        return {}
    effort = call.params.reasoning_effort
    if effort == "none":
        return _none(call, abilities)
    if effort not in _EFFORTS or abilities.thinking is Thinking.NEVER:
        call.unsupported(f"{effort} as reasoning_effort", _EFFORT)
        return {}
    word, budget = _EFFORTS[effort]
    if abilities.thinking is not Thinking.BUDGET:
        # The newest models think in silence unless they are asked to say what.
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": word}}
    if unthinking(turns):
        # The caller did not keep the thoughts; without new ones there still is an answer.
        call.dropped.append(_EFFORT)
        return {}
    if max_tokens <= _LEAST:
        call.unsupported(f"reasoning within {max_tokens} tokens; it takes more than {_LEAST}", _EFFORT)
        return {}
    # Half of the tokens are for the answer, where that leaves enough.
    budget = min(budget, max(_LEAST, max_tokens // 2))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _none(call: UpstreamCall, abilities: Abilities) -> dict[str, Block]:
    if abilities.thinking is Thinking.ALWAYS:
        call.unsupported("none as reasoning_effort", _EFFORT)
    return {"thinking": {"type": "disabled"}} if abilities.thinking is Thinking.USUALLY else {}


def sampling_for(call: UpstreamCall, *, takes_any: bool, thinks: bool) -> dict[str, float]:
    """Return ``temperature`` and ``top_p``. ``takes_any``: others than 1. ``thinks``: it is told to."""
    kept = {}
    for name, least, most in (("temperature", 0.0, 1.0), ("top_p", 0.95, 1.0)):
        if not call.params.HasField(name):  # type: ignore[arg-type]
            continue
        value: float = getattr(call.params, name)
        if not takes_any:
            if value != 1:
                call.unsupported(f"{name} other than 1", name)
        elif thinks and (value < least or (name == "temperature" and value != 1)):
            call.unsupported(f"{name} {value:g} beside reasoning", name)
        elif value > most:
            call.unsupported(f"{name} above {most:g}", name)
        else:
            kept[name] = value
    return kept
