"""POST /v1/completions."""

from collections.abc import Awaitable

from portico.openai.chunks import TextChunkRenderer
from portico.openai.requests import parse_complete
from portico.openai.responses import render_text
from portico.v1.gateway_pb2 import CompleteRequest, CompleteResponse, StreamCompleteRequest
from portico_facade.answering import Answering


class Completions(Answering):
    """A text completion, whole or as server-sent events."""

    route = "/v1/completions"

    def post(self) -> Awaitable[None]:
        """Answer ``{"model", "prompt", "stream"?, …}``."""
        params, self.streamed = parse_complete(self.asked())
        self.model = params.model
        gateway, headers = self.facade.gateway, self.forwarded()
        if self.streamed:
            request = StreamCompleteRequest(params=params, headers=headers)
            responses = gateway.stream_complete(request, self.context())
            return self.relay(responses, TextChunkRenderer(include_usage=params.stream_options.include_usage))
        return self._whole(gateway.complete(CompleteRequest(params=params, headers=headers), self.context()))

    async def _whole(self, asked: Awaitable[CompleteResponse]) -> None:
        response = await asked
        self.answer(response, render_text(response.completion))
