"""A whole answer of Gemini as OpenAI's. Pure."""

from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.errors import upstream_failed
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import ToolCall
from portico_adapters.gemini.answers import (
    ANSWER,
    Answer,
    Candidate,
    PromptFeedback,
    carried,
    new_id,
    raws,
    read,
)
from portico_adapters.gemini.candidate import Turn, audio_of
from portico_adapters.gemini.piece import Piece
from portico_adapters.gemini.tools import legacy


def completion_of(body: bytes, call: UpstreamCall, *, callers_key: bool) -> ChatCompletion:
    """Read a whole answer."""
    answer = read(body, ANSWER, callers_key=callers_key)
    counted = answer.usage_metadata
    completion = ChatCompletion(
        id=answer_id(answer, call),
        object="chat.completion",
        created=answer.created(),
        model=call.model,
        system_fingerprint=answer.model_version,
        service_tier=counted.tier if counted else None,
        usage=counted.usage() if counted else None,
    )
    if blocked := answer.blocked:
        # Nothing was made, and nothing is to be tried again.
        message = ChatMessage(role="assistant", content="")
        completion.choices.add(index=0, message=message, finish_reason="content_filter")
        completion.choices[0].extra_json = blocked_extra(blocked)
    elif not answer.candidates:
        raise upstream_failed("The backend's answer has no candidates.")
    for number, candidate in enumerate(answer.candidates or ()):
        completion.choices.append(_choice(candidate, number, call, answer))
    return completion


def answer_id(answer: Answer, call: UpstreamCall) -> str:
    """Return the backend's id of an answer, or one that is made."""
    return answer.response_id or new_id("chatcmpl-", call.request_id)


def blocked_extra(blocked: PromptFeedback) -> str:
    """Return what the API says of a prompt that it does not answer."""
    told = {
        "native_finish_reason": str(blocked.block_reason),
        "finish_message": blocked.block_reason_message,
        **raws({"safety_ratings": blocked.safety_ratings}),
    }
    return encode(carried(told)).decode()


def _choice(candidate: Candidate, number: int, call: UpstreamCall, answer: Answer) -> ChatChoice:
    index = number if candidate.index is None else candidate.index
    old = legacy(call.params)
    turn = Turn(call.request_id, answer.response_id, index, legacy=old)
    piece = turn.take(candidate)
    if not turn.finished:
        raise upstream_failed("The backend's answer is not whole.")
    message = ChatMessage(
        role="assistant",
        # Beside tool calls no text is null at OpenAI.
        content=(piece.text or None) if piece.calls else piece.text,
        reasoning_content=piece.thoughts or None,
        annotations=piece.annotations,
        extra_json=piece.message_extra,
    )
    if piece.audio:
        message.audio.CopyFrom(audio_of(piece.audio, call.request_id, index))
    _add_calls(message, piece, old=old)
    return ChatChoice(
        index=index,
        message=message,
        finish_reason=piece.finish_reason,
        logprobs=piece.logprobs,
        extra_json=piece.choice_extra,
    )


def _add_calls(message: ChatMessage, piece: Piece, *, old: bool) -> None:
    if old and piece.calls:
        message.function_call.CopyFrom(piece.calls[0].function)
        return
    for told in piece.calls:
        tool_call = ToolCall(id=told.id, type="function", function=told.function, extra_json=told.extra_json)
        message.tool_calls.append(tool_call)
