"""OpenAI's reasoning_effort as each maker's models are told it. Pure.

Sources: AWS's "Extended thinking" (Claude) and "Request and response schema" (Amazon Nova 2), and the
recorded exchanges of gpt-oss and Qwen. Models that no row knows read ``outputConfig.effort``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from portico.adapter import UpstreamCall
from portico_adapters.bedrock.parts import Block

_EFFORT: Final = "reasoning_effort"

_WORDS: Final[Mapping[str, str]] = {
    "minimal": "low",
    **{effort: effort for effort in ("low", "medium", "high", "xhigh", "max")},
}
_NOVAS: Final = ("low", "medium", "high")
#: Tokens for models that think by budget, as the dialect of Anthropic's own API has them.
_BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1_024,
    "low": 4_096,
    "medium": 10_240,
    "high": 24_576,
    "xhigh": 32_000,
    "max": 48_000,
}
#: The API takes no smaller budget.
_LEAST: Final = 1_024
#: With less of it a model that thinks refuses.
_LEAST_TOP_P: Final = 0.95
#: Tokens of an answer where the caller sets no limit: as many as each of these models may write.
_MOST: Final = 32_000


@dataclass(frozen=True, slots=True)
class Effort:
    """What of a body tells a model how much to think."""

    output: Mapping[str, object] = field(default_factory=dict)
    #: Of ``additionalModelRequestFields``.
    fields: Mapping[str, object] = field(default_factory=dict)
    #: What the answer must be allowed. None: it is as the caller says.
    max_tokens: int | None = None
    #: Members of ``inferenceConfig`` that the model does not take beside it.
    without: Sequence[str] = ()
    #: The model may not be made to call a tool.
    unforced: bool = False


_NONE: Final = Effort()


def effort_of(call: UpstreamCall, turns: Sequence[Block]) -> Effort:
    """Return how a model is told to think; raise 400 where it cannot, or not so."""
    asked = call.params.reasoning_effort
    if asked in ("", "none"):
        # Where nobody asks for it, nobody thinks.
        return _NONE
    if asked in _WORDS:
        tell = next(tell for pattern, tell in _MODELS if pattern.search(call.model))
        return tell(asked, call, turns)
    return _refused(asked, call, turns)


def _refused(asked: str, call: UpstreamCall, _turns: Sequence[Block]) -> Effort:
    call.unsupported(f"{asked} as reasoning_effort", _EFFORT)
    return _NONE


def _in_output(asked: str, _call: UpstreamCall, _turns: Sequence[Block]) -> Effort:
    return Effort(output={"effort": _WORDS[asked]})


def _in_field(name: str) -> "_Tell":
    return lambda asked, _call, _turns: Effort(fields={name: _WORDS[asked]})


def _nova(asked: str, call: UpstreamCall, turns: Sequence[Block]) -> Effort:
    effort = _WORDS[asked]
    if effort not in _NOVAS:
        return _refused(asked, call, turns)
    return Effort(fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}})


def _budget(asked: str, call: UpstreamCall, turns: Sequence[Block]) -> Effort:
    params = call.params
    if _unthinking(turns):
        # The caller did not keep the thoughts; without new ones there still is an answer.
        call.dropped.append(_EFFORT)
        return _NONE
    limit = params.max_completion_tokens or params.max_tokens or _MOST
    if limit <= _LEAST:
        call.unsupported(f"reasoning within {limit} tokens; it takes more than {_LEAST}", _EFFORT)
        return _NONE
    told = {
        "temperature": params.HasField("temperature") and params.temperature != 1,
        "top_p": params.HasField("top_p") and params.top_p < _LEAST_TOP_P,
    }
    without = [name for name, wrong in told.items() if wrong]
    for name in without:
        call.unsupported(f"{name} {getattr(params, name):g} beside reasoning", name)
    # Half of the tokens are for the answer, where that leaves enough.
    budget = min(_BUDGETS[asked], max(_LEAST, limit // 2))
    return Effort(
        fields={"thinking": {"type": "enabled", "budget_tokens": budget}},
        max_tokens=limit,
        without=without,
        unforced=True,
    )


def _unthinking(turns: Sequence[Block]) -> bool:
    """Whether the results at the end answer calls of a turn that does not begin with its thoughts."""
    if len(turns) < 2 or not any("toolResult" in block for block in turns[-1]["content"]):
        return False
    return "reasoningContent" not in turns[-2]["content"][0]


_Tell = Callable[[str, UpstreamCall, Sequence[Block]], Effort]

# A regular expression that finds a model's name -> how it is told. The first one counts.
_MODELS: Final[Sequence[tuple[re.Pattern[str], _Tell]]] = tuple(
    (re.compile(pattern), tell)
    for pattern, tell in (
        (r"openai\.gpt-oss", _in_field("reasoning_effort")),
        (r"qwen\.", _in_field("reasoning_config")),
        (r"amazon\.nova-2", _nova),
        (r"amazon\.nova", _refused),
        (r"anthropic\.claude-(v\d|instant|3-(opus|sonnet|haiku|5))", _refused),
        (r"anthropic\.claude-(3-7|[a-z]+-4-(\d{8}|[0-5]\b))", _budget),
        (r"", _in_output),
    )
)
