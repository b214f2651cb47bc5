"""Streams of Cohere's POST /v2/chat as OpenAI's chunks. Pure.

The events of the API's "Streaming" guide, by their ``type``; those of other types are passed over.
"""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.openai.errors import parse_error
from portico.v1.chunk_pb2 import ChunkChoice
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico_adapters._reading import read, unreadable
from portico_adapters.cohere import answers
from portico_adapters.cohere.chat_answer import Called
from portico_adapters.cohere.events import CALLS, CITATIONS, CONTENT, END, EVENT, PLAN_DELTA, End, Event
from portico_adapters.cohere.reasoning import DETAILS, PLAN, THINKING, StreamedThoughts
from portico_adapters.cohere.usage import usage_of


class _Call:
    """A call of a tool whose arguments come in pieces."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: Arguments that may still turn out to be none. None: they are some.
        self.held: str | None = ""

    def add(self, piece: str) -> str:
        """Return what can be told of the arguments by now."""
        if self.held is None:
            return piece
        self.held += piece
        if self.held.strip() == "" or "null".startswith(self.held.strip()):
            return ""
        told, self.held = self.held, None
        return told

    def end(self) -> str:
        """Return what is left to tell of them."""
        told, self.held = self.held, None
        return "" if told is None else answers.arguments_of(told)


class ChatStream:
    """Translates the events of one stream."""

    def __init__(self, call: UpstreamCall, *, callers_key: bool) -> None:
        self._call = call
        self._callers_key = callers_key
        self._legacy = answers.is_legacy(call)
        self._begun = False
        self._calls = 0
        self._thoughts = StreamedThoughts()
        #: The call that is being told, by the backend's index.
        self._open: dict[int, _Call] = {}
        self._takes: Final[Mapping[str, Callable[[Event, StreamResponse], None]]] = {
            "message-start": self._begin,
            "content-start": self._content,
            "content-delta": self._content,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_delta,
            "tool-call-end": self._call_end,
            "citation-start": self._citation,
            "message-end": self._end,
        }
        #: The event that ends the answer has come.
        self.done = False

    def take(self, event: bytes, into: StreamResponse, /) -> None:
        """Append what an event brings; raise the error that it tells."""
        if event.startswith(b"[DONE]"):
            return
        told = read(event, EVENT)
        if told.type is None:
            if told.message is not None:
                raise parse_error(500, event, (), callers_key=self._callers_key)
            return
        take = self._takes.get(told.type)
        if take is not None:
            take(told, into)

    def _choice(self, event: Event, into: StreamResponse) -> ChunkChoice:
        """Return a new piece of the answer."""
        if not self._begun:
            self._begin(event, into)
        return into.chunks.add().choices.add(index=0)

    def _begin(self, event: Event, into: StreamResponse) -> None:
        if self._begun:
            return
        self._begun = True
        into.header.id = event.id or answers.new_id("chatcmpl-", self._call)
        into.header.object = "chat.completion.chunk"
        into.header.model = self._call.model
        into.chunks.add().choices.add(index=0).delta.role = "assistant"

    def _content(self, event: Event, into: StreamResponse) -> None:
        delta = read(event.delta, CONTENT)
        block = delta.message.content if delta and delta.message else None
        if block is None or not (block.text or block.thinking or event.logprobs):
            return
        choice = self._choice(event, into)
        if block.text:
            choice.delta.content = block.text
        if block.thinking:
            choice.delta.reasoning_content = block.thinking
            self._thoughts.add(THINKING, event.index or 0, block.thinking)
        if event.logprobs and (logprobs := answers.logprobs_of([event.logprobs])):
            choice.logprobs.CopyFrom(logprobs)

    def _plan(self, event: Event, into: StreamResponse) -> None:
        delta = read(event.delta, PLAN_DELTA)
        if delta and delta.message and delta.message.tool_plan:
            choice = self._choice(event, into)
            choice.delta.reasoning_content = delta.message.tool_plan
            self._thoughts.add(PLAN, 0, delta.message.tool_plan)

    def _call_start(self, event: Event, into: StreamResponse) -> None:
        called = _called(event)
        if called is None or called.function is None:
            raise unreadable("a call without a function")
        self._close_calls(event, into)
        call = self._open[event.index or 0] = _Call(self._calls)
        self._calls += 1
        function = FunctionCall(
            name=called.function.name or "", arguments=call.add(called.function.arguments or "")
        )
        if self._legacy:
            if call.number == 0:
                self._choice(event, into).delta.function_call.CopyFrom(function)
            return
        self._choice(event, into).delta.tool_calls.append(
            ToolCallDelta(
                index=call.number,
                id=called.id or answers.new_id("call_", self._call, call.number),
                type="function",
                function=function,
            )
        )

    def _call_delta(self, event: Event, into: StreamResponse) -> None:
        called, call = _called(event), self._open.get(event.index or 0)
        if call is not None and called is not None and called.function is not None:
            self._arguments(event, into, call, call.add(called.function.arguments or ""))

    def _call_end(self, event: Event, into: StreamResponse) -> None:
        call = self._open.pop(event.index or 0, None)
        if call is not None:
            self._arguments(event, into, call, call.end())

    def _close_calls(self, event: Event, into: StreamResponse) -> None:
        """End the calls whose end the backend did not tell."""
        for call in self._open.values():
            self._arguments(event, into, call, call.end())
        self._open.clear()

    def _arguments(self, event: Event, into: StreamResponse, call: _Call, told: str) -> None:
        if not told:
            return
        if not self._legacy:
            piece = ToolCallDelta(index=call.number, function=FunctionCall(arguments=told))
            self._choice(event, into).delta.tool_calls.append(piece)
        elif call.number == 0:
            self._choice(event, into).delta.function_call.arguments = told

    def _citation(self, event: Event, into: StreamResponse) -> None:
        delta = read(event.delta, CITATIONS)
        if not delta or not delta.message or bytes(delta.message.citations) == b"null":
            return
        citation = delta.message.citations
        annotation = answers.annotation_of(citation)
        choice = self._choice(event, into)
        choice.delta.extra_json = encode({"citations": [citation]}).decode()
        if annotation is not None:
            choice.delta.annotations.append(annotation)

    def _end(self, event: Event, into: StreamResponse) -> None:
        end = read(event.delta, END) or End()
        error = answers.failure(end.finish_reason or ("ERROR" if end.error else None), end.error or "")
        if error is not None:
            raise error
        self._close_calls(event, into)
        choice = self._choice(event, into)
        if entries := self._thoughts.entries():
            choice.delta.extra_json = encode({DETAILS: entries}).decode()
        choice.finish_reason = answers.finish_reason(
            end.finish_reason, called=self._calls > 0, legacy=self._legacy
        )
        choice.extra_json = answers.native_reason(end.finish_reason)
        counted = usage_of(end.usage)
        if counted is not None:
            into.chunks[-1].usage.CopyFrom(counted)
        self.done = True


def _called(event: Event) -> Called | None:
    delta = read(event.delta, CALLS)
    return delta.message.tool_calls if delta and delta.message else None
