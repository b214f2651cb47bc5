"""POST /v1/embeddings."""

from portico.openai.requests import read_embed
from portico.openai.responses import render_embeddings
from portico_facade import headers
from portico_facade.answering import Answering


class Embeddings(Answering):
    """Vectors, one for each text."""

    route = "/v1/embeddings"

    async def post(self) -> None:
        """Answer ``{"model", "input", "encoding_format"?, …}``."""
        request = read_embed(self.asked())
        params = request.params
        self.model = params.model
        headers.forward(self.request, request)
        response = await self.facade.gateway.embed(request, self.context())
        body = render_embeddings(response.embeddings, encoding_format=params.encoding_format)
        self.answer(response, body)
