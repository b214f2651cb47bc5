"""What a model can do, by its name: what the API cannot be asked before each call.

Sources: the pages "Models overview", "Adaptive thinking" and "Versions" of Anthropic's documentation,
November 2026. Names that no row knows are taken for the newest models; those of other makers for plain ones.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Thinking(Enum):
    """How a model is told to think."""

    NEVER = "it cannot"
    BUDGET = "thinking.budget_tokens"
    ADAPTIVE = "thinking.type adaptive, and output_config.effort; untold it does not think"
    USUALLY = "as ADAPTIVE, but untold it does"
    ALWAYS = "as ADAPTIVE, but it cannot be switched off"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model can do."""

    #: Tokens of an answer, thinking included.
    max_tokens: int
    thinking: Thinking
    #: Takes a temperature and a top_p other than 1.
    samples: bool

    @property
    def continues(self) -> bool:
        """Whether it goes on with an answer that was begun: those that think adaptively refuse that."""
        return self.thinking in (Thinking.NEVER, Thinking.BUDGET)


# A regular expression that finds a model's name -> what it can do. The first one counts.
_KNOWN: Final = tuple(
    (re.compile(pattern), Abilities(max_tokens, thinking, samples))
    for pattern, max_tokens, thinking, samples in (
        (r"claude-(instant|v?[12]\b)", 4_096, Thinking.NEVER, True),
        (r"claude-3-(opus|sonnet|haiku)", 4_096, Thinking.NEVER, True),
        (r"claude-3[.-]5-", 8_192, Thinking.NEVER, True),
        (r"claude-3[.-]7-", 64_000, Thinking.BUDGET, True),
        (r"claude-.*\b4[.-]5\b", 64_000, Thinking.BUDGET, True),
        (r"claude-.*\b4[.-]6\b", 128_000, Thinking.ADAPTIVE, True),
        (r"claude-.*\b4[.-][7-9]\b", 128_000, Thinking.ADAPTIVE, False),
        (r"claude-(opus-4|4-opus)\b", 32_000, Thinking.BUDGET, True),
        (r"claude-(sonnet-4|4-sonnet)\b", 64_000, Thinking.BUDGET, True),
        (r"claude-(fable|mythos|opus-5[.-]5)", 128_000, Thinking.ALWAYS, False),
        (r"claude-", 128_000, Thinking.USUALLY, False),
        (r"", 8_192, Thinking.BUDGET, True),
    )
)


def abilities_of(model: str) -> Abilities:
    """Return what the model of this name, as the backend knows it, can do."""
    name = model.lower()
    return next(abilities for pattern, abilities in _KNOWN if pattern.search(name))
