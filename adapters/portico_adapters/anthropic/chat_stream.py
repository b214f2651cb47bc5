"""A streamed answer of POST /v1/messages as OpenAI's chunks. Pure."""

from msgspec import Raw
from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.v1.chunk_pb2 import Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico_adapters._reading import read, unreadable
from portico_adapters.anthropic.answers import End, given
from portico_adapters.anthropic.blocks import (
    BLOCKS,
    Carried,
    arguments_of,
    call_extra,
    cited,
    reasoning_detail,
)
from portico_adapters.anthropic.chat_answer import knows_functions_alone
from portico_adapters.anthropic.errors import error_in
from portico_adapters.anthropic.events import DELTAS, Started, Told, members_of_delta, read_event
from portico_adapters.anthropic.open_block import OpenBlock
from portico_adapters.anthropic.usage import Counted


class ChatStream:
    """Translates the events of one stream."""

    def __init__(self, call: UpstreamCall, *, callers_key: bool = False) -> None:
        self._call = call
        self._callers_key = callers_key
        self._legacy = knows_functions_alone(call)
        self._begun = False
        #: Those that are open, by their index.
        self._blocks: dict[int, OpenBlock] = {}
        self._carried = Carried()
        self._counted = Counted()
        self._end = End()
        self._calls = 0
        #: Characters of content so far.
        self._length = 0
        #: message_stop has come.
        self.done = False

    def take(self, event: bytes, into: StreamResponse, /) -> None:
        """Append what an event brings; raise the error that it tells."""
        told = read_event(event)
        if told is None:
            return
        if told.type == "error":
            raise error_in(event, callers_key=self._callers_key)
        if told.usage is not None:
            self._counted.update(told.usage)
        if told.type == "message_start":
            self._start(told.message or Started(), into)
        elif told.type == "content_block_start" and given(told.content_block):
            self._open(told.index, told.content_block, into)
        elif told.type == "content_block_delta" and told.delta is not None:
            self._add(told.index, told.delta, into)
            if told.delta.type not in DELTAS:
                # Such as a compaction_delta: the block that it belongs to is carried.
                self._blocks[told.index].add_others(members_of_delta(event))
        elif told.type == "content_block_stop":
            self._close(told.index, into)
        elif told.type == "message_delta" and told.delta is not None and told.delta.stop_reason:
            self._end = told.delta
            if given(told.context_management):
                self._end.context_management = told.context_management
        elif told.type == "message_stop":
            self._finish(into)

    def _start(self, message: Started, into: StreamResponse) -> None:
        if message.usage is not None:
            self._counted.update(message.usage)
        if self._begun:
            # Some gateways say it twice.
            return
        self._begun = True
        header = into.header
        header.object, header.model = "chat.completion.chunk", self._call.model
        if message.id:
            header.id = message.id
        if tier := self._counted.tier:
            header.service_tier = tier
        self._delta(into).role = "assistant"

    def _open(self, index: int, raw: Raw, into: StreamResponse) -> None:
        # A server that forgets to end a block means that it is whole.
        self._close(index, into)
        block = OpenBlock(read(raw, BLOCKS), raw, self._length)
        self._blocks[index] = block
        begun = block.begun
        if begun.type == "tool_use":
            block.number = self._calls
            self._calls += 1
            self._called(block, into, FunctionCall(name=begun.name or "", arguments=""), begun.id)
        if begun.text or begun.thinking:
            self._said(begun.type, begun.text, begun.thinking, into)

    def _add(self, index: int, delta: Told, into: StreamResponse) -> None:
        block = self._blocks.get(index)
        if block is None:
            raise unreadable(f"a delta for block {index}, which is not open")
        block.add(delta.text, delta.thinking, delta.signature, delta.partial_json)
        if given(delta.citation):
            block.citations.append(delta.citation)
        if delta.partial_json and block.begun.type == "tool_use":
            self._called(block, into, FunctionCall(arguments=delta.partial_json))
        if delta.text or delta.thinking:
            self._said(block.begun.type, delta.text, delta.thinking, into)

    def _said(self, kind: str, text: str | None, thinking: str | None, into: StreamResponse) -> None:
        if kind == "text" and text:
            self._length += len(text)
            self._delta(into).content = text
        elif kind == "thinking" and thinking:
            self._delta(into).reasoning_content = thinking

    def _called(
        self, block: OpenBlock, into: StreamResponse, function: FunctionCall, id_: str | None = None
    ) -> None:
        if not self._legacy:
            piece = ToolCallDelta(index=block.number, function=function)
            if id_ is not None:
                piece.id = id_
                piece.extra_json = call_extra(block.begun)
            if function.HasField("name"):
                piece.type = "function"
            self._delta(into).tool_calls.append(piece)
        elif block.number == 0:
            # There is room for one, and the request asked for no more.
            self._delta(into).function_call.CopyFrom(function)

    def _close(self, index: int, into: StreamResponse) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        whole = block.whole()
        self._carried.add(whole.type, block.raw())
        extra: dict[str, object] = {}
        if whole.type == "tool_use" and not block.has_input:
            # A tool that takes nothing, or a server that tells all at the start.
            self._called(block, into, FunctionCall(arguments=arguments_of(whole)))
        elif whole.type in ("thinking", "redacted_thinking"):
            extra["reasoning_details"] = [reasoning_detail(whole, index)]
        elif whole.type == "text" and block.citations:
            annotations, others = cited(block.citations, block.start, self._length)
            if annotations:
                self._delta(into).annotations.extend(annotations)
            if others:
                extra["citations"] = others
        if extra:
            self._delta(into).extra_json = encode(extra).decode()

    def _finish(self, into: StreamResponse) -> None:
        for index in list(self._blocks):
            self._close(index, into)
        if not self._begun:
            raise unreadable("the end of an answer that never began")
        self.done = True
        chunk = into.chunks.add()
        choice = chunk.choices.add(index=0)
        choice.delta.SetInParent()
        choice.finish_reason = self._end.finish_reason(called=self._calls > 0, legacy=self._legacy)
        choice.extra_json = self._end.extra_json()
        if refusal := self._end.refusal():
            choice.delta.refusal = refusal
        elif not self._length and not self._calls:
            choice.delta.content = ""
        if carried := self._carried.members():
            choice.delta.extra_json = encode(carried).decode()
        if usage := self._counted.usage():
            chunk.usage.CopyFrom(usage)

    def _delta(self, into: StreamResponse) -> Delta:
        return into.chunks.add().choices.add(index=0).delta
