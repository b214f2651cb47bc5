"""Chats that end with what the assistant has begun to say: some backends go on from there. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def begun(
    params: ChatCompletionParams, text: str, members: Mapping[str, Any] = _NOTHING
) -> ChatCompletionParams:
    """Return a copy of ``params`` whose last message is the beginning of the answer.

    ``members``: further ones of the request.
    """
    asked = ChatCompletionParams()
    asked.CopyFrom(params)
    asked.messages.append(ChatMessage(role="assistant", content=text))
    if members:
        # The caller's own members are not read: their numbers stay as they are.
        own = msgspec.json.decode(asked.extra_json or "{}", type=dict[str, msgspec.Raw])
        own |= {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items()}
        asked.extra_json = msgspec.json.encode(own).decode()
    return asked
