"""Messages that the tests put into a gateway's mouth."""

from typing import Any

from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico.v1.receipt_pb2 import Served
from portico.v1.usage_pb2 import Usage

SERVED = Served(backend="local", model="qwen2.5:32b")
LIMITS = [Header(name="x-ratelimit-remaining-requests", value=b"9")]


def ask(**more: Any) -> dict[str, Any]:
    """Return the smallest chat request, and more."""
    return {"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}], **more}


def response(content: str = "hi", headers: list[Header] = LIMITS) -> ChatResponse:
    """Return a whole answer."""
    message = ChatMessage(role="assistant", content=content)
    completion = ChatCompletion(
        id="chatcmpl-1",
        created=1,
        model="gpt-4",
        choices=[ChatChoice(index=0, message=message, finish_reason="stop")],
        usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    )
    return ChatResponse(completion=completion, served=SERVED, headers=headers)


def first(*contents: str) -> StreamResponse:
    """Return a stream's first message: who answers, and the first tokens."""
    header = ChunkHeader(id="chatcmpl-1", created=1, model="gpt-4")
    return StreamResponse(header=header, served=SERVED, headers=LIMITS, chunks=map(_chunk, contents))


def tokens(*contents: str) -> StreamResponse:
    """Return a message of tokens that were ready together."""
    return StreamResponse(chunks=map(_chunk, contents))


def last() -> StreamResponse:
    """Return a stream's last message: the reason of the end, and the usage."""
    end = ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(), finish_reason="stop")])
    usage = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    return StreamResponse(chunks=[end, ChatChunk(usage=usage)])


def _chunk(content: str) -> ChatChunk:
    return ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content=content))])
