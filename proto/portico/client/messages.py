"""Requests from what a caller has at hand: a text, a few messages, or whole params."""

from collections.abc import Sequence
from typing import TypeVar

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatRequest,
    CompleteRequest,
    EmbedRequest,
    StreamCompleteRequest,
    StreamRequest,
)
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage, ContentPart
from portico.v1.tools_pb2 import ToolCall

ChatQ = TypeVar("ChatQ", ChatRequest, StreamRequest)
TextQ = TypeVar("TextQ", CompleteRequest, StreamCompleteRequest)


def system(text: str) -> ChatMessage:
    """Return a message of role "system"."""
    return ChatMessage(role="system", content=text)


def user(content: str | Sequence[ContentPart]) -> ChatMessage:
    """Return a message of role "user": a text, or parts such as texts and images."""
    if isinstance(content, str):
        return ChatMessage(role="user", content=content)
    return ChatMessage(role="user", content_parts=content)


def assistant(text: str | None = None, tool_calls: Sequence[ToolCall] = ()) -> ChatMessage:
    """Return a message of role "assistant", for a history that was kept elsewhere.

    An answer's own ``message`` can go into the next request as it is.
    """
    return ChatMessage(role="assistant", content=text, tool_calls=tool_calls)


def tool(call_id: str, result: str) -> ChatMessage:
    """Return the message of role "tool" that answers the tool call with the id ``call_id``."""
    return ChatMessage(role="tool", tool_call_id=call_id, content=result)


def chat_request(
    kind: type[ChatQ],
    model: str | None,
    messages: str | Sequence[ChatMessage] | None,
    params: ChatCompletionParams | None,
    headers: Sequence[Header],
) -> ChatQ:
    """Return a request of ``params``; a model and messages that are given replace those in it."""
    request = kind(params=params or ChatCompletionParams(), headers=headers)
    if model is not None:
        request.params.model = model
    if messages is not None:
        request.params.ClearField("messages")
        request.params.messages.extend([user(messages)] if isinstance(messages, str) else messages)
    return request


def text_request(
    kind: type[TextQ],
    model: str | None,
    prompt: str | Sequence[str] | None,
    params: TextCompletionParams | None,
    headers: Sequence[Header],
) -> TextQ:
    """Return a request of ``params``; a model and a prompt that are given replace those in it."""
    request = kind(params=params or TextCompletionParams(), headers=headers)
    if model is not None:
        request.params.model = model
    if prompt is not None:
        request.params.prompt.CopyFrom(_text_input(prompt))
    return request


def embed_request(
    model: str | None,
    texts: str | Sequence[str] | None,
    params: EmbeddingParams | None,
    headers: Sequence[Header],
) -> EmbedRequest:
    """Return a request of ``params``; a model and texts that are given replace those in it."""
    request = EmbedRequest(params=params or EmbeddingParams(), headers=headers)
    if model is not None:
        request.params.model = model
    if texts is not None:
        request.params.input.CopyFrom(_text_input(texts))
    return request


def _text_input(texts: str | Sequence[str]) -> TextInput:
    if isinstance(texts, str):
        return TextInput(text=texts)
    return TextInput(texts=TextList(values=texts))
