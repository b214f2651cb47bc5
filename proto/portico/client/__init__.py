"""The client for internal services: typed calls of a gateway's core over gRPC, without HTTP.

    from portico.client import Client, system, user

    with Client("localhost:50051", api_key="…", timeout=30) as client:
        print(client.chat("gpt-4o", "Hello!").text)
        with client.stream("gpt-4o", [system("Be brief."), user("Tell me a story.")]) as stream:
            for piece in stream.text():
                print(piece, end="")

``AsyncClient`` has the same calls for asyncio. Needs nothing but the distribution's base. docs/client.md
tells of deadlines, cancellation, errors and streams.
"""

from portico.client.aio import AsyncChatStream, AsyncClient, AsyncTextStream
from portico.client.answers import Answer, ChatAnswer, EmbedAnswer, TextAnswer
from portico.client.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DeadlineExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    UnavailableError,
)
from portico.client.messages import assistant, system, tool, user
from portico.client.options import CallOptions
from portico.client.streams import StreamClosedError
from portico.client.sync import ChatStream, Client, TextStream

__all__ = [
    "APIError",
    "Answer",
    "AsyncChatStream",
    "AsyncClient",
    "AsyncTextStream",
    "AuthenticationError",
    "BadRequestError",
    "CallOptions",
    "ChatAnswer",
    "ChatStream",
    "Client",
    "DeadlineExceededError",
    "EmbedAnswer",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "StreamClosedError",
    "TextAnswer",
    "TextStream",
    "UnavailableError",
    "assistant",
    "system",
    "tool",
    "user",
]
