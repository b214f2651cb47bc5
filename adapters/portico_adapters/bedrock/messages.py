"""A conversation of OpenAI's API as Converse's: system blocks, and turns of user and assistant. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.errors import invalid_request, unsupported
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters._json import members
from portico_adapters.bedrock.names import DocumentNames, tool_use_id
from portico_adapters.bedrock.parts import Block, blocks_of, cache_point, text_blocks
from portico_adapters.bedrock.reasoning import thinking_of

_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
_BLOCKS: Final = Decoder(list[Raw])
_STATUS: Final = Decoder(str | None)


class Conversation:
    """The messages of one request."""

    def __init__(self, call: UpstreamCall) -> None:
        """Translate them; raise 400 for what Converse cannot have."""
        self.system: list[Block] = []
        self.turns: list[Block] = []
        #: The names of the tools that were called, in order; the same one once.
        self.called: dict[str, None] = {}
        self._call = call
        self._names = DocumentNames()
        #: The id of the last function_call, of which functions' results do not tell.
        self._function = "function"
        for index, message in enumerate(call.params.messages):
            self._add(message, f"messages[{index}]")
        for turn in self.turns:
            if turn["role"] == "user":
                # Models want the results before all else that is said to them.
                turn["content"].sort(key=lambda block: "toolResult" not in block)
            _put_text_beside_documents(turn["content"])

    def _add(self, message: ChatMessage, where: str) -> None:
        if message.role not in _ROLES:
            raise unsupported(f"messages with the role {message.role}", f"{where}.role", self._call.backend)
        if message.HasField("audio"):
            raise unsupported("audio in messages", f"{where}.audio", self._call.backend)
        extra = members(message.extra_json, where)
        cache = cache_point(extra, where)
        if message.role in ("system", "developer"):
            self.system += self._content(message, where) + cache
        elif message.role == "assistant":
            self._turn("assistant", self._said(message, extra, where) + cache)
        elif message.role in ("tool", "function"):
            self._turn("user", [self._result(message, extra, where), *cache])
        else:
            # What says nothing Converse refuses, in words of its own.
            self._turn("user", (self._content(message, where) or [{"text": ""}]) + cache)

    def _turn(self, role: str, blocks: Sequence[Block]) -> None:
        """Append to the last turn where it is of the same role: Converse wants them to alternate."""
        if not blocks:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": []})
        self.turns[-1]["content"] += blocks

    def _content(self, message: ChatMessage, where: str) -> list[Block]:
        if message.content_parts:
            return blocks_of(message.content_parts, f"{where}.content", self._call.backend, self._names)
        # A refusal is what the assistant said instead of content.
        return text_blocks(message.content or message.refusal)

    def _said(self, message: ChatMessage, extra: dict[str, Raw], where: str) -> list[Block]:
        for index, call in enumerate(message.tool_calls):
            if call.HasField("custom") or not call.HasField("function"):
                place = f"{where}.tool_calls[{index}].type"
                raise unsupported(f"tool calls of the type {call.type}", place, self._call.backend)
            self.called[call.function.name] = None
        if carried := extra.get("content_blocks"):
            return _carried(carried, f"{where}.content_blocks")
        blocks = thinking_of(message, extra.get("reasoning_details"), where, self._call)
        blocks += self._content(message, where)
        for index, call in enumerate(message.tool_calls):
            id_ = tool_use_id(call.id or f"call_{index}")
            blocks.append(_tool_use(id_, call.function, f"{where}.tool_calls[{index}].function"))
        if message.HasField("function_call"):
            self._function = tool_use_id(where)
            self.called[message.function_call.name] = None
            blocks.append(_tool_use(self._function, message.function_call, f"{where}.function_call"))
        return blocks

    def _result(self, message: ChatMessage, extra: dict[str, Raw], where: str) -> Block:
        id_ = tool_use_id(message.tool_call_id) if message.role == "tool" else self._function
        result: Block = {"toolUseId": id_, "content": self._content(message, where)}
        if raw := extra.get("status"):
            try:
                status = _STATUS.decode(raw)
            except ValueError:
                raise invalid_request(f"{where}.status must be a string.", f"{where}.status") from None
            result |= {"status": status} if status else {}
        return {"toolResult": result}


def _tool_use(id_: str, function: FunctionCall, where: str) -> Block:
    # No text at all is how some models call a tool that takes nothing.
    arguments = members(function.arguments.strip(), f"{where}.arguments")
    return {"toolUse": {"toolUseId": id_, "name": function.name, "input": arguments}}


def _carried(raw: Raw, where: str) -> list[Block]:
    """Return the blocks of an answer of ours that had some without a place in OpenAI's shape."""
    try:
        return [members(bytes(block), where) for block in _BLOCKS.decode(raw)]
    except (ValueError, RecursionError):
        raise invalid_request(f"{where} must be a list of blocks as they were.", where) from None


def _put_text_beside_documents(content: list[Block]) -> None:
    """Converse refuses a turn with a document and without a text: its name is one that adds nothing."""
    documents = [block["document"]["name"] for block in content if "document" in block]
    if documents and not any("text" in block for block in content):
        content.append({"text": ", ".join(map(str, documents))})
