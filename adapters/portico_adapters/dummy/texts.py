"""Text completions of the dummy backend. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from portico.adapter import CompletionCall
from portico.errors import invalid_request
from portico.v1.completions_pb2 import TextChoice, TextCompletionParams, TextInput
from portico.v1.usage_pb2 import Usage
from portico_adapters.dummy.words import Answer, answers, tokens

# What it cannot do, and the values that do not ask for it.
_REFUSED: Final[dict[str, tuple[object, ...]]] = {"suffix": ("",), "logprobs": (), "best_of": (1,)}


def texts_of(given: TextInput, param: str) -> list[str]:
    """Return the texts of a prompt or an input; 400 for tokens and whatever else is no text."""
    form = given.WhichOneof("value")
    if form == "text":
        return [given.text]
    if form == "texts":
        return list(given.texts.values)
    raise invalid_request(f"The dummy backend reads text as {param}, nothing else.", param)


def text_answers(call: CompletionCall) -> list[Answer]:
    """Return the answers, prompt by prompt; raise GatewayError for what cannot be answered."""
    params = call.params
    for field, value in params.ListFields():
        if value not in _REFUSED.get(field.name, (value,)):
            call.unsupported(field.name, field.name)
    told = []
    for prompt in texts_of(params.prompt, "prompt"):
        for answer in answers(call.model, prompt, params):
            echoed = [*tokens(prompt), *answer.tokens] if params.echo else answer.tokens
            told.append(Answer(echoed, answer.finish_reason))
    return told


def text_choices(told: Sequence[Answer]) -> list[TextChoice]:
    """Return the choices of an unstreamed answer."""
    return [
        TextChoice(index=index, text=answer.text, finish_reason=answer.finish_reason)
        for index, answer in enumerate(told)
    ]


def text_pieces(told: Sequence[Answer]) -> Iterator[TextChoice]:
    """Yield the answers' tokens in turn, as a server that generates them side by side would."""
    for position in range(max(len(answer.tokens) for answer in told) + 1):
        for index, answer in enumerate(told):
            if position < len(answer.tokens):
                yield TextChoice(index=index, text=answer.tokens[position])
            elif position == len(answer.tokens):
                yield TextChoice(index=index, text="", finish_reason=answer.finish_reason)


def text_usage(params: TextCompletionParams, told: Sequence[Answer]) -> Usage:
    """Count; a prompt that is echoed was not generated."""
    prompt = sum(len(tokens(text)) for text in texts_of(params.prompt, "prompt"))
    echoed = prompt * (params.n or 1) if params.echo else 0
    completion = sum(len(answer.tokens) for answer in told) - echoed
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
