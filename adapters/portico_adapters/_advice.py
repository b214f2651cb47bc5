"""Members of a request that change nothing in its answer: users, labels, hints for caches. Pure.

Applications send them by habit, so a backend without a place for them refuses none. But they say something
to the caller: each that is left out is named like every other parameter that is.
"""

from collections.abc import Container
from typing import Any, Final

from portico.adapter import Upstream
from portico.v1.chat_pb2 import ChatCompletionParams

ADVICE: Final = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "user",
    }
)
#: The names of who speaks. Those of a function and of its result are no such names.
NAMES: Final = "messages[].name"
_NAMELESS: Final = ("tool", "function")


def leave_out(call: Upstream[Any], name: str) -> None:
    """Note that a member of the request is not sent, whatever the model's configuration says."""
    if name not in call.dropped:
        call.dropped.append(name)


def leave_out_advice(call: Upstream[Any], heeded: Container[str] = ()) -> None:
    """Note those of the request's that a backend hears nothing of. ``heeded``: what it has a place for."""
    params = call.params
    for field, _ in params.ListFields():
        if field.name in ADVICE and field.name not in heeded:
            leave_out(call, field.name)
    if isinstance(params, ChatCompletionParams) and says_who(params):
        leave_out(call, NAMES)


def says_who(params: ChatCompletionParams) -> bool:
    """Whether any message has the name of who speaks."""
    return any(message.name and message.role not in _NAMELESS for message in params.messages)


def forget_who(params: ChatCompletionParams) -> None:
    """Take these names away."""
    for message in params.messages:
        if message.role not in _NAMELESS:
            message.ClearField("name")
