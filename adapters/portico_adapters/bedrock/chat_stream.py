"""The frames of a streamed answer of ConverseStream as OpenAI's chunks. Pure.

messageStart, then for each block contentBlockStart (for tools alone), contentBlockDelta…, contentBlockStop,
then messageStop with the reason of the end, then metadata with the counts. An exception may come anywhere,
and so may types of events and deltas that are not invented yet.
"""

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.adapter import UpstreamCall
from portico.errors import upstream_failed
from portico.v1.chunk_pb2 import Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico_adapters._reading import read
from portico_adapters.bedrock.answers import NULL, Ended, finish_of, legacy, new_id, now, told
from portico_adapters.bedrock.blocks import BLOCKS, SERVER_TOOL, ToolUse, annotations_of
from portico_adapters.bedrock.errors import error_in_stream
from portico_adapters.bedrock.events import DAMAGED, END, ERROR, EXCEPTION, Frame
from portico_adapters.bedrock.open_block import OpenBlock


class _Reasoning(Struct):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None  # noqa: N815 - as AWS writes it


class _Input(Struct):
    input: str | None = None


class _Source(Struct):
    bytes: str = ""


class _Image(Struct):
    source: _Source | None = None


class _Delta(Struct):
    text: str | None = None
    toolUse: _Input | None = None  # noqa: N815
    toolResult: list[Raw] | None = None  # noqa: N815
    reasoningContent: _Reasoning | None = None  # noqa: N815
    citation: Raw = NULL
    image: _Image | None = None


class _Event(Ended):
    contentBlockIndex: int = 0  # noqa: N815
    start: dict[str, dict[str, Raw]] | None = None
    delta: _Delta | None = None


_EVENTS: Final = Decoder(_Event)
_TOOL_USES: Final = Decoder(ToolUse)
_READ: Final = (
    *("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop"),
    *("messageStop", "metadata"),
)


class ChatStream:
    """Translates the frames of one stream."""

    def __init__(self, call: UpstreamCall, *, callers_key: bool = False) -> None:
        self._call = call
        self._callers_key = callers_key
        self._legacy = legacy(call)
        self._begun = self._stopped = self._counted = self._ended = False
        #: Those that are open, by their index.
        self._blocks: dict[int, OpenBlock] = {}
        #: All blocks so far, and whether OpenAI's shape has no place for one of them.
        self._whole: list[Raw] = []
        self._without_place = False
        self._calls = 0
        #: Characters of content so far.
        self._length = 0

    @property
    def done(self) -> bool:
        """The answer is whole. The counts follow its end; a stream that ends without them is whole too."""
        return self._stopped and (self._counted or self._ended)

    def take(self, frame: Frame, into: StreamResponse, /) -> None:
        """Append what a frame brings; raise the error that it tells."""
        if frame.kind == END:
            self._ended = True
        elif frame.kind == DAMAGED:
            raise upstream_failed("The backend's stream cannot be read.", frame.name)
        elif frame.kind in (EXCEPTION, ERROR):
            raise error_in_stream(frame.name, frame.payload, callers_key=self._callers_key)
        elif frame.name in _READ:
            self._event(frame, into)

    def _event(self, frame: Frame, into: StreamResponse) -> None:
        event = read(frame.payload, _EVENTS)
        if not self._begun:
            self._begin(frame, into)
        index = event.contentBlockIndex
        if frame.name == "contentBlockStart":
            self._open(index, event.start or {}, into)
        elif frame.name == "contentBlockDelta" and event.delta is not None:
            block = self._blocks.get(index) or self._open(index, {}, into)
            self._add(block, event.delta, into)
        elif frame.name == "contentBlockStop":
            self._close(index, into)
        elif frame.name == "messageStop":
            self._stop(event, into)
        elif frame.name == "metadata":
            self._count(event, into)

    def _begin(self, frame: Frame, into: StreamResponse) -> None:
        self._begun = True
        into.header.id = new_id(self._call, frame.payload)
        into.header.object = "chat.completion.chunk"
        into.header.created = now()
        into.header.model = self._call.model
        self._delta(into).role = "assistant"

    def _open(self, index: int, start: dict[str, dict[str, Raw]], into: StreamResponse) -> OpenBlock:
        # A server that forgets to end a block means that it is whole.
        self._close(index, into)
        block = self._blocks[index] = OpenBlock(start, self._length)
        if "toolUse" in start:
            tool = read(encode(start["toolUse"]), _TOOL_USES)
            if tool.type != SERVER_TOOL:
                block.number = self._calls
                self._calls += 1
                self._called(block, into, FunctionCall(name=tool.name, arguments=""), tool.toolUseId)
        return block

    def _add(self, block: OpenBlock, delta: _Delta, into: StreamResponse) -> None:
        if delta.text:
            block.texts.append(delta.text)
            self._length += len(delta.text)
            self._delta(into).content = delta.text
        if delta.toolUse and delta.toolUse.input:
            block.inputs.append(delta.toolUse.input)
            if block.number is not None:
                self._called(block, into, FunctionCall(arguments=delta.toolUse.input))
        if thought := delta.reasoningContent:
            self._think(block, thought, into)
        if delta.citation != NULL:
            block.citations.append(delta.citation)
        if delta.image and delta.image.source and delta.image.source.bytes:
            block.images.append(delta.image.source.bytes)
        block.results += delta.toolResult or ()

    def _think(self, block: OpenBlock, thought: _Reasoning, into: StreamResponse) -> None:
        if thought.text:
            block.thoughts.append(thought.text)
            self._delta(into).reasoning_content = thought.text
        if thought.signature:
            block.signatures.append(thought.signature)
        if thought.redactedContent:
            block.redacted.append(thought.redactedContent)

    def _called(
        self, block: OpenBlock, into: StreamResponse, function: FunctionCall, id_: str | None = None
    ) -> None:
        if not self._legacy:
            kind = None if id_ is None else "function"
            piece = ToolCallDelta(index=block.number, id=id_, type=kind, function=function)
            self._delta(into).tool_calls.append(piece)
        elif block.number == 0:
            # There is room for one.
            self._delta(into).function_call.CopyFrom(function)

    def _close(self, index: int, into: StreamResponse) -> None:
        """Tell what stands at a block's end: its sources, and what is to come back unchanged."""
        open_block = self._blocks.pop(index, None)
        raw = open_block.raw() if open_block else None
        if open_block is None or raw is None:
            return
        block = read(raw, BLOCKS)
        self._whole.append(raw)
        self._without_place |= block.has_no_place
        if open_block.number is not None and not open_block.inputs:
            # JSON, as in a whole answer.
            self._called(open_block, into, FunctionCall(arguments="{}"))
        annotations, others = annotations_of(block.cited, open_block.start, self._length)
        detail = block.detail(index)
        extra = told(
            {
                "reasoning_details": [detail] if detail else None,
                "citations": others,
                "images": [block.picture] if block.picture else None,
            }
        )
        if annotations:
            self._delta(into).annotations.extend(annotations)
        if extra:
            self._delta(into).extra_json = extra

    def _stop(self, event: _Event, into: StreamResponse) -> None:
        for index in sorted(self._blocks):
            self._close(index, into)
        finish, extra = finish_of(event.stopReason, called=self._calls > 0, legacy=self._legacy)
        if self._without_place:
            self._delta(into).extra_json = told({"content_blocks": self._whole})
        self._stopped = True
        chunk = into.chunks.add(extra_json=event.extra_json())
        choice = chunk.choices.add(index=0, finish_reason=finish, extra_json=extra)
        choice.delta.SetInParent()

    def _count(self, event: _Event, into: StreamResponse) -> None:
        self._counted = True
        # The header is long gone: the tier is told where AWS tells it.
        tier = {"serviceTier": {"type": event.tier()}} if event.tier() else {}
        chunk = into.chunks.add(extra_json=event.extra_json(**tier))
        if event.usage is not None:
            chunk.usage.CopyFrom(event.usage.usage())

    def _delta(self, into: StreamResponse) -> Delta:
        return into.chunks.add().choices.add(index=0).delta
