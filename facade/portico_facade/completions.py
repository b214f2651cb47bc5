"""POST /v1/completions."""

from portico.openai.chunks import TextChunkRenderer
from portico.openai.requests import parse_complete
from portico.openai.responses import render_text
from portico.v1.gateway_pb2 import CompleteRequest, StreamCompleteRequest
from portico_facade.answering import Answering


class Completions(Answering):
    """A text completion, whole or as server-sent events."""

    route = "/v1/completions"

    async def post(self) -> None:
        """Answer ``{"model", "prompt", "stream"?, …}``."""
        params, self.streamed = parse_complete(self.asked())
        self.model = params.model
        gateway, headers = self.facade.gateway, self.forwarded()
        if self.streamed:
            request = StreamCompleteRequest(params=params, headers=headers)
            responses = gateway.stream_complete(request, self.context())
            await self.relay(responses, TextChunkRenderer(include_usage=params.stream_options.include_usage))
            return
        response = await gateway.complete(CompleteRequest(params=params, headers=headers), self.context())
        self.answer(response, render_text(response.completion))
