"""POST /v1/chat/completions."""

from portico.openai.chunks import ChunkRenderer
from portico.openai.requests import parse_chat
from portico.openai.responses import render_completion
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest
from portico_facade.answering import Answering


class ChatCompletions(Answering):
    """A chat completion, whole or as server-sent events."""

    route = "/v1/chat/completions"

    async def post(self) -> None:
        """Answer ``{"model", "messages", "stream"?, …}``."""
        params, self.streamed = parse_chat(self.asked())
        self.model = params.model
        gateway, headers = self.facade.gateway, self.forwarded()
        if self.streamed:
            responses = gateway.stream(StreamRequest(params=params, headers=headers), self.context())
            await self.relay(responses, ChunkRenderer(include_usage=params.stream_options.include_usage))
            return
        response = await gateway.chat(ChatRequest(params=params, headers=headers), self.context())
        self.answer(response, render_completion(response.completion))
