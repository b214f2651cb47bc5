"""POST /v1/chat/completions."""

from collections.abc import Awaitable

from portico.openai.chunks import ChunkRenderer
from portico.openai.requests import parse_chat
from portico.openai.responses import render_completion
from portico.v1.gateway_pb2 import ChatRequest, ChatResponse, StreamRequest
from portico_facade.answering import Answering


class ChatCompletions(Answering):
    """A chat completion, whole or as server-sent events."""

    route = "/v1/chat/completions"

    def post(self) -> Awaitable[None]:
        """Answer ``{"model", "messages", "stream"?, …}``."""
        params, self.streamed = parse_chat(self.asked())
        self.model = params.model
        gateway, headers = self.facade.gateway, self.forwarded()
        # No coroutine: what has been made of the body is not kept for as long as its answer takes.
        if self.streamed:
            responses = gateway.stream(StreamRequest(params=params, headers=headers), self.context())
            return self.relay(responses, ChunkRenderer(include_usage=params.stream_options.include_usage))
        return self._whole(gateway.chat(ChatRequest(params=params, headers=headers), self.context()))

    async def _whole(self, asked: Awaitable[ChatResponse]) -> None:
        response = await asked
        self.answer(response, render_completion(response.completion))
