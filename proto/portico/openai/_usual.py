"""What OpenAI writes in answers and chunks even where there is nothing to say, in its order."""

from typing import Any, Final

from portico.openai._shapes import Shapes, Usual
from portico.v1.chat_pb2 import ChoiceLogprobs, TokenLogprob
from portico.v1.message_pb2 import UrlCitation

#: Of log probabilities.
LOGPROBS: Final[Usual] = {
    ChoiceLogprobs: {"content": None, "refusal": None},
    TokenLogprob: {"token": None, "logprob": None, "bytes": None, "top_logprobs": []},
}
#: Of the pages that an answer names.
SOURCES: Final[Usual] = {UrlCitation: {"start_index": 0, "end_index": 0, "title": "", "url": ""}}
# The likeliest tokens at a place have no places of their own.
_TOP: Final = Shapes(lenient=True, usual={TokenLogprob: {"token": None, "logprob": None, "bytes": None}})[
    TokenLogprob.DESCRIPTOR
]

#: The classes of service that OpenAI has.
_TIERS: Final = ("auto", "default", "flex", "scale", "priority", "fast")


def write_top(tokens: Any, _: Any) -> object:
    """Write the likeliest tokens at one place."""
    return [_TOP.write(token) for token in tokens]


def tier_of(told: str) -> dict[str, str]:
    """Return the members for the class that served an answer: a provider's own name for one stands beside."""
    if told in _TIERS:
        return {"service_tier": told}
    return {"service_tier": "default", **({"native_service_tier": told} if told else {})}
