"""Ollama's answers to /api/chat as OpenAI's: whole ones, and the lines of a stream. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.errors import upstream_failed
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChoiceLogprobs, TokenLogprob
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall, ToolCall, ToolCallDelta
from portico_adapters._reading import unreadable
from portico_adapters.ollama.answers import Generated, Logprob, read

_TEXT: Final = Decoder(str)


class _Function(Struct):
    name: str = ""
    #: An object, kept as text: so no number in it changes.
    arguments: Raw = Raw(b"{}")


class _ToolCall(Struct):
    function: _Function
    id: str | None = None


class _Message(Struct):
    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Chat(Generated):
    message: _Message | None = None


_CHAT: Final = Decoder(_Chat)


def completion_of(body: bytes, call: UpstreamCall) -> ChatCompletion:
    """Read a whole answer."""
    answer = read(body, _CHAT)
    answer.check()
    message = answer.message
    if message is None or not answer.done:
        raise upstream_failed("The backend's answer is not whole.")
    calls = [
        ToolCall(
            id=told.id or answer.new_id("call_", call.request_id, index),
            type="function",
            function=_called(told),
        )
        for index, told in enumerate(message.tool_calls or ())
    ]
    choice = ChatChoice(
        index=0,
        message=ChatMessage(
            role=message.role or "assistant",
            # Beside tool calls no text is null at OpenAI.
            content=(message.content or None) if calls else (message.content or ""),
            # Not `reasoning`, the name on Ollama's own OpenAI surface: more clients know this one.
            reasoning_content=message.thinking or None,
            tool_calls=calls,
        ),
        finish_reason=_finish_reason(answer, bool(calls)),
        logprobs=_logprobs(answer.logprobs),
    )
    return ChatCompletion(
        id=answer.new_id("chatcmpl-", call.request_id),
        object="chat.completion",
        created=answer.created(),
        model=call.model,
        choices=[choice],
        usage=answer.usage(),
    )


class ChatStream:
    """Translates the lines of one stream."""

    def __init__(self, call: UpstreamCall) -> None:
        self._call = call
        self._begun = False
        self._calls = 0
        #: The last line has come.
        self.done = False

    def take(self, line: bytes, into: StreamResponse, /) -> None:
        """Append what a line brings; raise the error that it tells."""
        answer = read(line, _CHAT)
        answer.check()
        message = answer.message or _Message()
        says = message.content or message.thinking or message.tool_calls or answer.logprobs
        if self._begun and not (says or answer.done):
            return
        calls = [self._tool_call(told, answer) for told in message.tool_calls or ()]
        chunk = into.chunks.add()
        choice = chunk.choices.add(index=0)
        delta = choice.delta
        if not self._begun:
            self._begin(answer, into)
            delta.role = message.role or "assistant"
        if message.content:
            delta.content = message.content
        if message.thinking:
            delta.reasoning_content = message.thinking
        if calls:
            delta.tool_calls.extend(calls)
        if logprobs := _logprobs(answer.logprobs):
            choice.logprobs.CopyFrom(logprobs)
        if answer.done:
            self.done = True
            choice.finish_reason = _finish_reason(answer, self._calls > 0)
            if usage := answer.usage():
                chunk.usage.CopyFrom(usage)

    def _begin(self, answer: _Chat, into: StreamResponse) -> None:
        self._begun = True
        into.header.id = answer.new_id("chatcmpl-", self._call.request_id)
        into.header.object = "chat.completion.chunk"
        into.header.created = answer.created()
        into.header.model = self._call.model

    def _tool_call(self, told: _ToolCall, answer: _Chat) -> ToolCallDelta:
        # Counted here: calls come whole, one or several to a line, and servers number them anew.
        index = self._calls
        self._calls += 1
        return ToolCallDelta(
            index=index,
            id=told.id or answer.new_id("call_", self._call.request_id, index),
            type="function",
            function=_called(told),
        )


def _called(told: _ToolCall) -> FunctionCall:
    written = bytes(told.function.arguments)
    try:
        # Some servers of this dialect write the object as a text, as OpenAI does.
        arguments = _TEXT.decode(written) if written.startswith(b'"') else written.decode()
    except ValueError as problem:
        raise unreadable(str(problem)) from problem
    return FunctionCall(name=told.function.name, arguments="{}" if arguments == "null" else arguments)


def _finish_reason(answer: Generated, called: bool) -> str:
    reason = answer.done_reason or "stop"
    return "tool_calls" if called and reason == "stop" else reason


def _logprobs(tokens: Sequence[Logprob] | None) -> ChoiceLogprobs | None:
    return ChoiceLogprobs(content=[_token(each) for each in tokens]) if tokens else None


def _token(told: Logprob) -> TokenLogprob:
    return TokenLogprob(
        token=told.token,
        logprob=told.logprob,
        bytes=None if told.bytes is None else bytes(told.bytes),
        top_logprobs=[_token(each) for each in told.top_logprobs or ()],
    )
