"""What a call cost in tokens where its backend does not tell. Pure.

A backend's own count is never altered. Where none comes, tokens that the caller sent as such are
counted, and all else is estimated: a token for each four bytes of text, and for each message of a chat
what its template adds. docs/decisions/0009 tells where the numbers come from and how far they are off.
"""

from collections.abc import Mapping
from typing import Any, Final

from portico.v1.chat_pb2 import ChatCompletion, ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletion, TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingList, EmbeddingParams
from portico.v1.usage_pb2 import Usage, UsageSource
from portico_core import text_size
from portico_core.call import Call

BYTES_PER_TOKEN: Final = 4
#: Tokens of a chat's template: around each message, and before the answer.
PER_MESSAGE: Final = 4
BEFORE_ANSWER: Final = 3

#: Who counted, in a word.
SOURCES: Final[Mapping[int, str]] = {
    UsageSource.USAGE_SOURCE_UNSPECIFIED: "backend",
    UsageSource.USAGE_SOURCE_COUNTED: "counted",
    UsageSource.USAGE_SOURCE_ESTIMATED: "estimated",
}

#: The parts of a chat that a model reads.
_READ: Final = frozenset({"messages", "tools", "functions", "response_format"})


def tells(usage: Usage) -> bool:
    """Whether a backend's usage says anything: some send an empty object."""
    return (
        usage.HasField("prompt_tokens")
        or usage.HasField("completion_tokens")
        or usage.HasField("total_tokens")
    )


def settled(answer: ChatCompletion | TextCompletion | EmbeddingList, params: Any) -> Usage:
    """Return the usage of a whole answer, which gets one where its backend told none."""
    if not tells(answer.usage):
        delivered = 0 if isinstance(answer, EmbeddingList) else sum(map(text_size.of, answer.choices))
        answer.usage.MergeFrom(estimated(params, delivered))
    return answer.usage


def account(call: Call) -> None:
    """Write to the records of a call that is over what its attempts cost beside its own usage.

    Vendors do not bill what they refuse with a status. What broke off without a word, was silent or was
    left may have cost something: nobody knows.
    """
    for each in call.spent:
        if each.served is call.served:
            # It is in the call's own usage.
            continue
        if each.told is not None:
            for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
                if each.told.HasField(name):
                    setattr(each.record.usage, name, getattr(each.told, name))
        elif each.worked:
            each.record.unpriced = True


def estimated(params: Any, delivered: int) -> Usage:
    """Return the usage of a call that delivered so many bytes of text, of all its choices together."""
    if isinstance(params, EmbeddingParams):
        prompt, source = _of_input(params.input)
        return Usage(prompt_tokens=prompt, total_tokens=prompt, source=source)
    if isinstance(params, TextCompletionParams):
        prompt = _of_input(params.prompt)[0] + _tokens(text_size.of_text(params.suffix))
        delivered -= _repeated(params)
    else:
        prompt = _of_chat(params)
    completion = _tokens(max(0, delivered))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        source=UsageSource.USAGE_SOURCE_ESTIMATED,
    )


def _of_chat(params: ChatCompletionParams) -> int:
    size = 0
    for field, value in params.ListFields():
        if field.name in _READ:
            size += sum(map(text_size.of, value)) if field.is_repeated else text_size.of(value)
    return _tokens(size) + PER_MESSAGE * len(params.messages) + BEFORE_ANSWER


def _of_input(given: TextInput) -> tuple[int, UsageSource.ValueType]:
    """Return the tokens of texts or of lists of tokens, and how they are known."""
    form = given.WhichOneof("value")
    if form == "tokens":
        return len(given.tokens.values), UsageSource.USAGE_SOURCE_COUNTED
    if form == "token_lists":
        counted = sum(len(each.values) for each in given.token_lists.lists)
        return counted, UsageSource.USAGE_SOURCE_COUNTED
    return sum(_tokens(size) for size in _sizes(given)), UsageSource.USAGE_SOURCE_ESTIMATED


def _repeated(params: TextCompletionParams) -> int:
    """Return the bytes of the prompts that stand before the answers: they are not counted twice."""
    return sum(_sizes(params.prompt)) * (params.n or 1) if params.echo else 0


def _sizes(given: TextInput) -> list[int]:
    """Return the bytes of each text. A vendor's own form of input has none that can be told."""
    texts = [given.text] if given.HasField("text") else given.texts.values
    return [text_size.of_text(text) for text in texts]


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
