"""The whole answer out of the chunks of its stream. Pure."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from portico.client.extra import joined_members, latest_members
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.chunk_pb2 import ChunkChoice, Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import ToolCall, ToolCallDelta

M = TypeVar("M", bound=Message)


def assemble(stream: StreamResponse) -> ChatCompletion:
    """Return what an unstreamed call would have, given all responses of a stream merged into one.

    Of a vendor's own members (``extra_json``) the last value counts; in deltas texts and lists are joined.
    """
    whole = ChatCompletion(object="chat.completion")
    _copy(stream.header, whole, "id", "created", "model", "system_fingerprint", "service_tier")
    pieces: dict[int, list[ChunkChoice]] = {}
    for chunk in stream.chunks:
        for piece in chunk.choices:
            pieces.setdefault(piece.index, []).append(piece)
        _copy(chunk, whole, "moderation_json")
        if chunk.HasField("usage"):
            whole.usage.CopyFrom(chunk.usage)
    whole.extra_json = latest_members(chunk.extra_json for chunk in stream.chunks)
    whole.choices.extend(_choice(index, pieces[index]) for index in sorted(pieces))
    return whole


def _choice(index: int, pieces: Sequence[ChunkChoice]) -> ChatChoice:
    choice = ChatChoice(index=index, message=_message([piece.delta for piece in pieces]))
    for piece in pieces:
        _copy(piece, choice, "finish_reason")
        if piece.HasField("logprobs"):
            choice.logprobs.MergeFrom(piece.logprobs)
    choice.extra_json = latest_members(piece.extra_json for piece in pieces)
    return choice


def _message(deltas: Sequence[Delta]) -> ChatMessage:
    whole = _sum(deltas, joined=("content", "refusal", "reasoning_content", "reasoning"), once=("role",))
    message = ChatMessage(role="assistant", annotations=whole.annotations)
    _copy(whole, message, "role", "content", "refusal", "reasoning_content", "reasoning")
    if whole.HasField("audio"):
        audio = [delta.audio for delta in deltas]
        message.audio.CopyFrom(_sum(audio, joined=("data", "transcript"), once=("id",)))
    if whole.HasField("function_call"):
        functions = [delta.function_call for delta in deltas]
        message.function_call.CopyFrom(_sum(functions, joined=("arguments",), once=("name",)))
    message.extra_json = joined_members(delta.extra_json for delta in deltas)
    calls: dict[int, list[ToolCallDelta]] = {}
    for piece in whole.tool_calls:
        calls.setdefault(piece.index, []).append(piece)
    message.tool_calls.extend(_tool_call(calls[index]) for index in sorted(calls))
    return message


def _tool_call(pieces: Sequence[ToolCallDelta]) -> ToolCall:
    whole = _sum(pieces, once=("id", "type"))
    call = ToolCall(extra_json=joined_members(piece.extra_json for piece in pieces))
    _copy(whole, call, "id", "type")
    if whole.HasField("function"):
        functions = [piece.function for piece in pieces]
        call.function.CopyFrom(_sum(functions, joined=("arguments",), once=("name",)))
    if whole.HasField("custom"):
        customs = [piece.custom for piece in pieces]
        call.custom.CopyFrom(_sum(customs, joined=("input",), once=("name",)))
    return call


def _sum(pieces: Sequence[M], *, joined: Sequence[str] = (), once: Sequence[str] = ()) -> M:
    """Merge ``pieces``: lists grow, texts in ``joined`` are joined, of other members the last one counts.

    Of a member in ``once`` the first text counts: some vendors repeat it, and some send it empty later.
    """
    whole = type(pieces[0])()
    for piece in pieces:
        whole.MergeFrom(piece)
    for name in joined:
        if whole.HasField(name):
            setattr(whole, name, "".join(getattr(piece, name) for piece in pieces))
    for name in once:
        if whole.HasField(name):
            setattr(whole, name, next(filter(None, (getattr(piece, name) for piece in pieces)), ""))
    return whole


def _copy(source: Message, into: Message, *names: str) -> None:
    for name in names:
        if source.HasField(name):
            setattr(into, name, getattr(source, name))
