"""Conversations of OpenAI's API as Anthropic's: the system prompt, and turns of user and assistant. Pure.

1. System and developer messages, wherever they stand, make the system prompt in their order: so does
   Anthropic's own surface for OpenAI's clients. Most models know no other place for them.
2. Messages of one side that follow one another are one turn.
3. The results of a turn's tool calls are one user's turn with what the user says after, and come first in it.
4. Messages without content are left out: the API refuses empty texts.
5. A turn of the assistant that ends the conversation is continued (prefill); newer models refuse that.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.adapter import UpstreamCall
from portico.errors import invalid_request, unsupported
from portico.v1.message_pb2 import ChatMessage
from portico_adapters._json import members
from portico_adapters.anthropic.history import calls_of, carried_blocks, thinking_of, tool_id
from portico_adapters.anthropic.parts import Block, blocks_of, joined

_SYSTEM: Final = ("system", "developer")
_RESULTS: Final = ("tool", "function")
_SIDES: Final[Mapping[str, str]] = {
    "user": "user",
    "tool": "user",
    "function": "user",
    "assistant": "assistant",
}


def conversation_of(call: UpstreamCall) -> tuple[list[Block], list[Block]]:
    """Return the blocks of the system prompt, and the turns; raise 400 for what the API cannot take."""
    system: list[Block] = []
    turns: list[_Turn] = []
    # The last call of the deprecated form: such calls have no ids, and the next result is theirs.
    function_id = ""
    for index, message in enumerate(call.params.messages):
        where = f"messages[{index}]"
        if message.role in _SYSTEM:
            system += _with_cache_control(blocks_of(message, where, call.backend), message, where)
            continue
        if message.role not in _SIDES:
            raise unsupported(f"messages with the role {message.role}", f"{where}.role", call.backend)
        if message.HasField("function_call"):
            function_id = f"function_{index}"
        blocks = _blocks(message, where, call, function_id)
        if not blocks:
            continue
        side = _SIDES[message.role]
        if not turns or turns[-1].side != side:
            turns.append(_Turn(side))
        (turns[-1].results if message.role in _RESULTS else turns[-1].blocks).extend(blocks)
    said = [turn.written() for turn in turns]
    if not said:
        raise invalid_request("messages must have one of the user with content.", "messages")
    if said[-1]["role"] == "assistant":
        _trim(said[-1])
    return system, said


class _Turn:
    """What one side says at a stretch."""

    def __init__(self, side: str) -> None:
        self.side = side
        self.results: list[Block] = []
        self.blocks: list[Block] = []

    def written(self) -> Block:
        return {"role": self.side, "content": joined([*self.results, *self.blocks])}


def _blocks(message: ChatMessage, where: str, call: UpstreamCall, function_id: str) -> list[Block]:
    if message.HasField("audio"):
        raise unsupported("audio in messages", f"{where}.audio", call.backend)
    if message.role in _RESULTS:
        return [_result(message, where, call.backend, function_id)]
    thoughts: list[Block] = []
    if message.role == "assistant":
        carried = carried_blocks(message, where)
        if carried is not None:
            return carried
        thoughts = thinking_of(message, where, call)
    blocks = blocks_of(message, where, call.backend) + calls_of(message, where, call.backend, function_id)
    return thoughts + _with_cache_control(blocks, message, where)


def _result(message: ChatMessage, where: str, backend: str, function_id: str) -> Block:
    blocks = blocks_of(message, where, backend)
    called = message.tool_call_id or (function_id if message.role == "function" else "")
    if not called:
        raise invalid_request(f"{where}.tool_call_id is missing.", f"{where}.tool_call_id")
    result: Block = {"type": "tool_result", "tool_use_id": tool_id(called)}
    if blocks:
        result["content"] = joined(blocks)
    extra = members(message.extra_json, where)
    return result | {name: extra[name] for name in ("is_error", "cache_control") if name in extra}


def _with_cache_control(blocks: list[Block], message: ChatMessage, where: str) -> list[Block]:
    """Put a message's own ``cache_control`` where the API has it: on its last block."""
    control = members(message.extra_json, where).get("cache_control")
    if control is not None and blocks:
        blocks[-1] = {"cache_control": control, **blocks[-1]}
    return blocks


def _trim(turn: Block) -> None:
    """Take the space from the end of the text that the model is to continue: the API refuses it."""
    content = turn["content"]
    if isinstance(content, str):
        turn["content"] = content.rstrip()
    elif content[-1]["type"] == "text" and isinstance(content[-1]["text"], str):
        content[-1] = {**content[-1], "text": content[-1]["text"].rstrip()}


def unthinking(turns: Sequence[Block]) -> bool:
    """Whether the answer goes on with a loop of tool calls that was begun without thinking.

    Models that think by budget refuse to think then: such a loop must begin with its thoughts.
    """
    loop = False
    for turn in reversed(turns):
        kinds = _kinds(turn)
        if turn["role"] == "assistant":
            if "tool_use" not in kinds or "thinking" in kinds or "redacted_thinking" in kinds:
                return False
            loop = True
        elif "tool_result" not in kinds:
            return loop
    return loop


def _kinds(turn: Block) -> list[str]:
    content = turn["content"]
    return [] if isinstance(content, str) else [block["type"] for block in content]
