"""What an assistant's message in a history has besides text: thinking, tool calls, carried blocks. Pure."""

import re
from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.errors import invalid_request, unsupported
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters._json import members
from portico_adapters._reasoning_details import details_of, note_lost
from portico_adapters.anthropic.blocks import FORMAT
from portico_adapters.anthropic.parts import Block

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
_BLOCKS: Final = Decoder(list[dict[str, Raw]] | None)
_TEXT: Final = Decoder(str)
_SILENT: Final = Raw(b'""')


def tool_id(name: str) -> str:
    """Return an id as the API takes it: other vendors' have characters that it refuses."""
    return _FOREIGN.sub("_", name)


def carried_blocks(message: ChatMessage, where: str) -> list[Block] | None:
    """Return the blocks that an answer of ours carried in ``content_blocks``. None: there are none."""
    raw = members(message.extra_json, where).get("content_blocks")
    if raw is None:
        return None
    try:
        blocks = _BLOCKS.decode(raw)
        typed = [{**block, "type": _TEXT.decode(block["type"])} for block in blocks or ()]
    except (ValueError, RecursionError, KeyError):
        message_ = f"{where}.content_blocks must be a list of blocks as they were."
        raise invalid_request(message_, f"{where}.content_blocks") from None
    # The API answers with texts that are empty, and refuses them.
    return [block for block in typed if block["type"] != "text" or block.get("text") != _SILENT] or None


def thinking_of(message: ChatMessage, where: str, call: UpstreamCall) -> list[Block]:
    """Return the thinking that an answer of ours carried in ``reasoning_details``.

    Thoughts without their signature are left out, as the API believes no others, and that is noted.
    """
    raw = members(message.extra_json, where).get("reasoning_details")
    blocks: list[Block] = []
    for detail in details_of(raw, FORMAT, where):
        if detail.type == "reasoning.encrypted" and detail.data:
            blocks.append({"type": "redacted_thinking", "data": detail.data})
        elif detail.type == "reasoning.text" and detail.signature:
            text = detail.text or ""
            blocks.append({"type": "thinking", "thinking": text, "signature": detail.signature})
    note_lost(message, blocks, call)
    return blocks


def calls_of(message: ChatMessage, where: str, backend: str, function_id: str) -> list[Block]:
    """Return the tool calls of a message. ``function_id``: for one of the deprecated form, which has none."""
    blocks = []
    for index, call in enumerate(message.tool_calls):
        place = f"{where}.tool_calls[{index}]"
        if call.HasField("custom") or not call.HasField("function"):
            raise unsupported(f"tool calls of the type {call.type}", f"{place}.type", backend)
        block = _call(call.id or f"call_{index}", call.function, f"{place}.function")
        blocks.append(block | members(call.extra_json, place))
    if message.HasField("function_call"):
        blocks.append(_call(function_id, message.function_call, f"{where}.function_call"))
    return blocks


def _call(id_: str, function: FunctionCall, where: str) -> Block:
    # No text at all is how some models call a tool that takes nothing.
    arguments = members(function.arguments.strip(), f"{where}.arguments")
    return {"type": "tool_use", "id": tool_id(id_), "name": function.name, "input": arguments}
