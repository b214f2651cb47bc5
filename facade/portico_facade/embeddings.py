"""POST /v1/embeddings."""

from portico.openai.requests import parse_embed
from portico.openai.responses import render_embeddings
from portico.v1.gateway_pb2 import EmbedRequest
from portico_facade.answering import Answering


class Embeddings(Answering):
    """Vectors, one for each text."""

    route = "/v1/embeddings"

    async def post(self) -> None:
        """Answer ``{"model", "input", "encoding_format"?, …}``."""
        params = parse_embed(self.asked())
        self.model = params.model
        request = EmbedRequest(params=params, headers=self.forwarded())
        response = await self.facade.gateway.embed(request, self.context())
        body = render_embeddings(response.embeddings, encoding_format=params.encoding_format)
        self.answer(response, body)
