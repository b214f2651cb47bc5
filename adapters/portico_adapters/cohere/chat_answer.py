"""Whole answers of Cohere's POST /v2/chat as OpenAI's. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.adapter import UpstreamCall
from portico.errors import upstream_failed
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall, ToolCall
from portico_adapters._reading import read
from portico_adapters.cohere import answers
from portico_adapters.cohere.answers import Logprob
from portico_adapters.cohere.reasoning import DETAILS, PLAN, THINKING, detail, details_json
from portico_adapters.cohere.usage import Counts, usage_of


class Function(Struct):
    """What is called."""

    name: str | None = None
    arguments: str | None = None


class Called(Struct):
    """A call of a tool, or a piece of one."""

    id: str | None = None
    function: Function | None = None


class Block(Struct):
    """A block of content, or a piece of one."""

    text: str | None = None
    thinking: str | None = None


class _Message(Struct):
    content: list[Block] | str | None = None
    tool_plan: str | None = None
    tool_calls: list[Called] | None = None
    citations: list[Raw] | None = None


class _Chat(Struct):
    id: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    usage: Counts | None = None
    logprobs: list[Logprob] | None = None


_CHAT: Final = Decoder(_Chat)


def completion_of(body: bytes, call: UpstreamCall) -> ChatCompletion:
    """Read a whole answer; raise the error that it tells or is."""
    answer = read(body, _CHAT)
    error = answers.failure(answer.finish_reason)
    if error is not None:
        raise error
    if answer.message is None or answer.finish_reason is None:
        raise upstream_failed("The backend's answer is not whole.")
    message = _message(answer.message, call)
    choice = ChatChoice(
        index=0,
        message=message,
        finish_reason=answers.finish_reason(
            answer.finish_reason, called=bool(answer.message.tool_calls), legacy=answers.is_legacy(call)
        ),
        logprobs=answers.logprobs_of(answer.logprobs),
        extra_json=answers.native_reason(answer.finish_reason),
    )
    return ChatCompletion(
        id=answer.id or answers.new_id("chatcmpl-", call),
        object="chat.completion",
        model=call.model,
        choices=[choice],
        usage=usage_of(answer.usage),
    )


def _message(told: _Message, call: UpstreamCall) -> ChatMessage:
    content = told.content or []
    blocks = [Block(text=content)] if isinstance(content, str) else content
    text = "".join(block.text or "" for block in blocks)
    thoughts = [block.thinking for block in blocks if block.thinking]
    calls = [(each.id, each.function) for each in told.tool_calls or () if each.function]
    message = ChatMessage(
        role="assistant",
        # Beside tool calls no text is null at OpenAI.
        content=(text or None) if calls else text,
        reasoning_content="".join([*thoughts, told.tool_plan or ""]) or None,
        extra_json=_extra(told, thoughts),
    )
    for at, (call_id, told_function) in enumerate(calls):
        arguments = answers.arguments_of(told_function.arguments)
        function = FunctionCall(name=told_function.name or "", arguments=arguments)
        if answers.is_legacy(call):
            message.function_call.CopyFrom(function)
            break
        message.tool_calls.append(
            ToolCall(id=call_id or answers.new_id("call_", call, at), type="function", function=function)
        )
    message.annotations.extend(filter(None, map(answers.annotation_of, told.citations or ())))
    return message


def _extra(told: _Message, thoughts: Sequence[str]) -> str:
    """Return what OpenAI's message has no place for: citations as they came, and whose thoughts are whose."""
    extra: dict[str, object] = {}
    entries: list[Mapping[str, object]] = [
        detail(text, THINKING, index) for index, text in enumerate(thoughts)
    ]
    if told.tool_plan:
        entries.append(detail(told.tool_plan, PLAN, len(entries)))
    if entries:
        extra[DETAILS] = details_json(entries)
    if told.citations:
        extra["citations"] = told.citations
    return encode(extra).decode() if extra else ""
