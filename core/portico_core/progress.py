"""How far a stream has come: whether it is committed, and whether it is whole. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from portico.v1.chat_pb2 import ChatChoice
from portico.v1.chunk_pb2 import ChunkChoice, Delta
from portico.v1.completions_pb2 import TextChoice
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.usage_pb2 import Usage
from portico_core import text_size
from portico_core.usage import tells

#: Chunks without content that are held back. Some servers send an empty chunk per hidden token of
#: reasoning: after so many the backend is at work, and is as good as committed.
_MOST_HELD = 1000

_NO_RUN: Final = ((), True)

# Characters of a finish_reason that are told to an operator: a backend may write anything there.
_LONGEST_REASON = 64


class Progress:
    """What the messages of one stream amount to so far."""

    __slots__ = (
        *("_begun", "_empty", "_finished", "_has_content", "_run_of", "_text_of"),
        *("committed", "contradiction", "late", "size", "usage", "whole"),
    )

    def __init__(
        self,
        has_content: Callable[[Any], bool],
        text_of: Callable[[Any], str],
        run_of: Callable[[Any], tuple[Sequence[bytes], bool]],
    ) -> None:
        """``has_content``: of a choice; ``text_of``: its field for text; ``run_of``: ``RunReader.texts``."""
        self._has_content = has_content
        self._text_of = text_of
        self._run_of = run_of
        #: Content has come: from here on no other backend may take over.
        self.committed = False
        #: The last usage that came.
        self.usage: Usage | None = None
        #: Bytes of the texts that came before any usage: where none comes, it is estimated from them.
        self.size = 0
        #: Whether the last message had content for a choice that was finished.
        self.late = False
        #: A choice's finish_reason, and another one that came later; "" where none did.
        self.contradiction = ""
        #: Every choice that began has its finish_reason.
        self.whole = False
        self._begun: set[int] = set()
        self._finished: dict[int, str] = {}
        self._empty = 0

    def take(self, response: StreamResponse | StreamCompleteResponse) -> None:
        """Account for the next message, and take out of it what finishes a choice in another way than before.

        Callers have acted by the first finish_reason. The same once more tells them nothing else, and is
        what OpenAI's text completions and OpenRouter write.
        """
        self.late = False
        if not self.committed:
            self._look_for_content(response)
        run, more = _NO_RUN if 0 in self._finished else self._run_of(response)
        if run:
            self._begun.add(0)
            self.whole = False
            if self.usage is None:
                self.size += sum(map(len, run))
        if more:
            self._take_chunks(response.chunks[len(run) :])

    def _take_chunks(self, chunks: Iterable[Any]) -> None:
        begun, finished = self._begun, self._finished
        text_of = self._text_of if self.usage is None else None
        for chunk in chunks:
            if chunk.HasField("usage") and tells(chunk.usage):
                self.usage, text_of = chunk.usage, None
            # A copy of the list: to go through protobuf's own costs half as much again.
            for choice in chunk.choices[:]:
                index = choice.index
                begun.add(index)
                if index in finished:
                    self._take_late(choice)
                elif choice.finish_reason:
                    finished[index] = choice.finish_reason
                if text_of is not None:
                    # What stands beside a text is not looked for: that would double the cost of a chunk.
                    text = text_of(choice)
                    self.size += text_size.of_text(text) if text else text_size.of(choice)
        self.whole = bool(begun) and begun == finished.keys()

    def _take_late(self, choice: Any) -> None:
        reason, first = choice.finish_reason, self._finished[choice.index]
        # Without it: a finish_reason is content of a kind, and does not make a message late.
        choice.ClearField("finish_reason")
        self.late = self.late or self._has_content(choice)
        if reason == first:
            choice.finish_reason = reason
        elif reason:
            self.contradiction = f"{first[:_LONGEST_REASON]}, then {reason[:_LONGEST_REASON]}"

    def _look_for_content(self, response: StreamResponse | StreamCompleteResponse) -> None:
        self._empty += len(response.chunks)
        self.committed = self._empty > _MOST_HELD or any(
            self._has_content(choice) for chunk in response.chunks for choice in chunk.choices
        )


def has_content(choice: ChunkChoice) -> bool:
    """Tell content from a role alone, from empty texts and from frames that keep a connection open."""
    delta = choice.delta
    return bool(
        choice.finish_reason
        or delta.content
        or delta.reasoning_content
        or delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.HasField("function_call")
        or delta.HasField("audio")
        or (delta.extra_json and holds_anything(delta))
    )


def holds_anything(delta: Delta) -> bool:
    """Whether a vendor's own members hold anything: Mistral's thinking comes as a list in `content`."""
    try:
        return any(msgspec.json.decode(delta.extra_json, type=dict[str, object]).values())
    except (msgspec.MsgspecError, RecursionError):
        return True


def has_text(choice: TextChoice) -> bool:
    """``has_content`` for a text completion."""
    return bool(choice.finish_reason or choice.text)


def says_something(choices: Iterable[ChatChoice | TextChoice], content: str) -> bool:
    """Tell whether the choices of an unstreamed answer answer. ``content``: their field for it.

    Its body arrived to its last byte, so it is not cut, and a finish_reason is not asked for: old
    vision models of OpenAI send none. But a choice that has neither that nor content says nothing.
    """
    found = False
    for choice in choices:
        if not (choice.finish_reason or choice.HasField(content)):  # type: ignore[arg-type]
            return False
        found = True
    return found
