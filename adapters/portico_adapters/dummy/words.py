"""What the dummy backend says: tokens, stories, and where an answer ends. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from portico.errors import invalid_request, unknown_model
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams

Params: TypeAlias = ChatCompletionParams | TextCompletionParams

ECHO: Final = "echo-1"
STORY: Final = "story-1"

_STORIES: Final = (
    (
        "Once there was a gateway between two rivers. Boats came down the one with questions, and went "
        "up the other with answers. When a bridge fell, the keeper sent the boats another way, and told "
        "nobody a boat had arrived that had not. So people came to trust the gateway."
    ),
    (
        "A lamp stood in a window by the sea. Every night a child asked it the same thing: are you a "
        "star? Every night it said no, and shone. One morning a ship came in that had steered by it, and "
        "the captain called it the best star of all."
    ),
    (
        "The mason built an arch of nine stones. Eight quarrelled over which of them held it up. The "
        "ninth kept still, for it could feel that each one held, and that each one was held."
    ),
)

# A token is a word with the space before it, or a run of other characters: near enough for counting.
_TOKEN: Final = re.compile(r"\s*\w+|\s*[^\w\s]+|\s+")


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers."""

    tokens: Sequence[str]
    finish_reason: str

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.tokens)


def tokens(text: str) -> list[str]:
    """Split a text."""
    return _TOKEN.findall(text)


def answers(model: str, prompt: str, params: Params) -> list[Answer]:
    """Return one answer to a prompt for each that is asked for; 404 for a model that is not here."""
    if model == ECHO:
        return [_cut(prompt, params)] * _count(params)
    if model == STORY:
        first = params.seed if params.HasField("seed") else 0
        return [_cut(_STORIES[(first + index) % len(_STORIES)], params) for index in range(_count(params))]
    raise unknown_model(params.model or model)


def _count(params: Params) -> int:
    count = params.n if params.HasField("n") else 1
    if not 1 <= count <= 128:
        raise invalid_request(f"n is {count}; it must be between 1 and 128.", "n")
    return count


def _cut(text: str, params: Params) -> Answer:
    """End a text where a stop or the limit of tokens ends it, whichever comes first."""
    ends = [at for stop in params.stop if stop and (at := text.find(stop)) >= 0]
    found = tokens(text[: min(ends)] if ends else text)
    limit = _limit(params)
    if limit is not None and len(found) > limit:
        return Answer(found[:limit], "length")
    return Answer(found, "stop")


def _limit(params: Params) -> int | None:
    given = {field.name: value for field, value in params.ListFields()}
    for name in ("max_completion_tokens", "max_tokens"):
        limit: int | None = given.get(name)
        if limit is not None:
            if limit < 1:
                raise invalid_request(f"{name} is {limit}; it must be at least 1.", name)
            return limit
    return None
