"""How likely Gemini's tokens were, as OpenAI tells it. Pure."""

from portico.v1.chat_pb2 import ChoiceLogprobs, TokenLogprob
from portico_adapters.gemini.answers import Logprobs
from portico_adapters.gemini.answers import TokenLogprob as ToldLogprob


def logprobs_of(told: Logprobs | None) -> ChoiceLogprobs | None:
    """Return them; None where none were told."""
    if told is None or not told.chosen_candidates:
        return None
    tops = [top.candidates or () for top in told.top_candidates or ()]
    content = []
    for number, chosen in enumerate(told.chosen_candidates):
        token = _token(chosen)
        token.top_logprobs.extend(_token(each) for each in (tops[number] if number < len(tops) else ()))
        content.append(token)
    return ChoiceLogprobs(content=content)


def _token(told: ToldLogprob) -> TokenLogprob:
    return TokenLogprob(token=told.token, logprob=told.log_probability, bytes=told.token.encode())
