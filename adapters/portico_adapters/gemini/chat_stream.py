"""The events of a stream of Gemini as OpenAI's chunks. Pure.

Each event is an answer of its own that holds what is new. Nothing marks the end but the end of the body,
which must not come before each candidate has told why it stopped.
"""

from portico.adapter import UpstreamCall
from portico.v1.chunk_pb2 import ChatChunk
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.tools_pb2 import ToolCallDelta
from portico_adapters.gemini.answers import ANSWER, Answer, Candidate, read
from portico_adapters.gemini.candidate import Turn, audio_of
from portico_adapters.gemini.chat_answer import answer_id, blocked_extra
from portico_adapters.gemini.framing import END
from portico_adapters.gemini.tools import legacy
from portico_adapters.gemini.usage import Counted


class ChatStream:
    """Translates the events of one stream."""

    def __init__(self, call: UpstreamCall, *, callers_key: bool) -> None:
        self._call = call
        self._callers_key = callers_key
        self._legacy = legacy(call.params)
        self._begun = False
        self._turns: dict[int, Turn] = {}
        self._blocked = False
        #: Choices whose speech has its id.
        self._speaking: set[int] = set()
        #: The last usage: each is a total so far. None: it has gone on, or there was none.
        self._counted: Counted | None = None
        #: The body has ended, and the answer with it.
        self.done = False

    def take(self, event: bytes, into: StreamResponse, /) -> None:
        """Append what an event brings; raise the error that it tells."""
        if event in (END, b"[DONE]"):
            self._end(into)
            return
        answer = read(event, ANSWER, callers_key=self._callers_key)
        if not self._begun:
            self._begin(answer, into)
        if answer.usage_metadata is not None and answer.usage_metadata.usage() is not None:
            self._counted = answer.usage_metadata
        if (blocked := answer.blocked) and not self._blocked:
            self._blocked = True
            choice = into.chunks.add().choices.add(index=0, finish_reason="content_filter")
            if not self._turns:
                choice.delta.role, choice.delta.content = "assistant", ""
            choice.extra_json = blocked_extra(blocked)
        for number, candidate in enumerate(answer.candidates or ()):
            index = number if candidate.index is None else candidate.index
            self._candidate(candidate, index, answer, into)
        if into.chunks and self._finished and len(self._turns) >= self._call.params.n:
            self._count(into.chunks[-1])

    def _begin(self, answer: Answer, into: StreamResponse) -> None:
        self._begun = True
        into.header.id = answer_id(answer, self._call)
        into.header.object = "chat.completion.chunk"
        into.header.created = answer.created()
        into.header.model = self._call.model
        if answer.model_version:
            into.header.system_fingerprint = answer.model_version
        if answer.usage_metadata and answer.usage_metadata.tier:
            into.header.service_tier = answer.usage_metadata.tier

    def _candidate(self, candidate: Candidate, index: int, answer: Answer, into: StreamResponse) -> None:
        turn = self._turns.get(index)
        new = turn is None
        if turn is None:
            turn = Turn(self._call.request_id, answer.response_id, index, legacy=self._legacy)
            self._turns[index] = turn
        piece = turn.take(candidate)
        if not piece.says and not new:
            return
        chunk = ChatChunk()
        choice = chunk.choices.add(index=index)
        delta = choice.delta
        if new:
            delta.role = "assistant"
        if piece.text or (piece.finish_reason and turn.silent):
            # As in a whole answer: a text that is empty is still one.
            delta.content = piece.text
        if piece.thoughts:
            delta.reasoning_content = piece.thoughts
        if piece.calls and self._legacy:
            if piece.calls[0].index == 0:
                delta.function_call.CopyFrom(piece.calls[0].function)
        else:
            delta.tool_calls.extend(
                ToolCallDelta(
                    index=told.index,
                    id=told.id,
                    type="function",
                    function=told.function,
                    extra_json=told.extra_json,
                )
                for told in piece.calls
            )
        if piece.audio:
            delta.audio.CopyFrom(audio_of(piece.audio, self._call.request_id, index))
            if index in self._speaking:
                # SDKs append the strings of deltas.
                delta.audio.ClearField("id")
            self._speaking.add(index)
        if extra := piece.message_extra:
            delta.extra_json = extra
        if piece.logprobs:
            choice.logprobs.CopyFrom(piece.logprobs)
        if piece.finish_reason:
            choice.finish_reason = piece.finish_reason
            delta.annotations.extend(piece.annotations)
            choice.extra_json = piece.choice_extra
        into.chunks.append(chunk)

    def _end(self, into: StreamResponse) -> None:
        """End the answer, unless part of it is missing."""
        self.done = self._finished
        if self.done and self._counted:
            self._count(into.chunks.add())

    @property
    def _finished(self) -> bool:
        """Whether all candidates that have begun have told why they stopped."""
        return self._blocked or (bool(self._turns) and all(turn.finished for turn in self._turns.values()))

    def _count(self, chunk: ChatChunk) -> None:
        """Tell the usage with a chunk."""
        if self._counted and (usage := self._counted.usage()):
            chunk.usage.CopyFrom(usage)
            self._counted = None
