"""POST /v1/chat/completions."""

from collections.abc import Awaitable

from portico.openai.chunks import ChunkRenderer
from portico.openai.requests import read_chat
from portico.openai.responses import render_completion
from portico.v1.gateway_pb2 import ChatResponse, StreamRequest
from portico_facade import headers
from portico_facade.answering import Answering


class ChatCompletions(Answering):
    """A chat completion, whole or as server-sent events."""

    route = "/v1/chat/completions"

    def post(self) -> Awaitable[None]:
        """Answer ``{"model", "messages", "stream"?, …}``."""
        request = read_chat(self.asked())
        self.model = request.params.model
        self.streamed = isinstance(request, StreamRequest)
        headers.forward(self.request, request)
        # No coroutine: what has been made of the body is not kept for as long as its answer takes.
        if isinstance(request, StreamRequest):
            include_usage = request.params.stream_options.include_usage
            responses = self.facade.gateway.stream(request, self.context())
            return self.relay(responses, ChunkRenderer(include_usage=include_usage))
        return self._whole(self.facade.gateway.chat(request, self.context()))

    async def _whole(self, asked: Awaitable[ChatResponse]) -> None:
        response = await asked
        self.answer(response, render_completion(response.completion))
