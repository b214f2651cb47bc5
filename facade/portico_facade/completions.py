"""POST /v1/completions."""

from collections.abc import Awaitable

from portico.openai.chunks import TextChunkRenderer
from portico.openai.requests import read_complete
from portico.openai.responses import render_text
from portico.v1.gateway_pb2 import CompleteResponse, StreamCompleteRequest
from portico_facade import headers
from portico_facade.answering import Answering


class Completions(Answering):
    """A text completion, whole or as server-sent events."""

    route = "/v1/completions"

    def post(self) -> Awaitable[None]:
        """Answer ``{"model", "prompt", "stream"?, …}``."""
        request = read_complete(self.asked())
        self.model = request.params.model
        self.streamed = isinstance(request, StreamCompleteRequest)
        headers.forward(self.request, request)
        if isinstance(request, StreamCompleteRequest):
            include_usage = request.params.stream_options.include_usage
            responses = self.facade.gateway.stream_complete(request, self.context())
            return self.relay(responses, TextChunkRenderer(include_usage=include_usage))
        return self._whole(self.facade.gateway.complete(request, self.context()))

    async def _whole(self, asked: Awaitable[CompleteResponse]) -> None:
        response = await asked
        self.answer(response, render_text(response.completion))
