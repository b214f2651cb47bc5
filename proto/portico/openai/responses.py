"""Unstreamed answers: OpenAI's ``chat.completion`` object <-> ChatCompletion."""

from typing import Final

from msgspec.json import encode

from portico.openai._json import members
from portico.openai._shapes import Shapes, Usual
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.message_pb2 import ChatMessage

# What OpenAI writes even where there is nothing to say, in its order.
_USUAL: Final[Usual] = {
    ChatCompletion: {"id": None, "object": "chat.completion", "created": None, "model": None, "choices": []},
    ChatChoice: {"index": 0, "message": None, "logprobs": None, "finish_reason": None},
    ChatMessage: {"role": "assistant", "content": None, "refusal": None},
}
_COMPLETION: Final = Shapes(lenient=True, usual=_USUAL)[ChatCompletion.DESCRIPTOR]


def parse_completion(body: bytes) -> ChatCompletion:
    """Read an answer. What does not fit its field goes to ``extra_json`` and comes out again.

    Raises ValueError for what is no JSON object.
    """
    completion = ChatCompletion()
    try:
        _COMPLETION.read(members(body), completion)
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None
    return completion


def render_completion(completion: ChatCompletion) -> bytes:
    """Write an answer as OpenAI does, with its usual nulls."""
    return encode(_COMPLETION.write(completion))
