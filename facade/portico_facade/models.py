"""GET /v1/models and /v1/models/{id}."""

from portico.openai.models import render_model, render_models
from portico.v1.gateway_pb2 import GetModelRequest, ListModelsRequest
from portico_facade import headers
from portico_facade.handler import Handler


class Models(Handler):
    """The models that route, for this caller."""

    route = "/v1/models"
    methods = ("GET", "HEAD")

    async def get(self) -> None:
        """Answer with the list."""
        request = ListModelsRequest()
        headers.forward(self.request, request)
        response = await self.facade.gateway.list_models(request, self.context())
        # Tells a gateway that has this one as a backend that names grow here (docs/decisions/0006).
        self.headers["X-Portico-Hops"] = "0"
        self.finish(render_models(response.models))

    head = get


class Model(Handler):
    """One of them."""

    route = "/v1/models/{id}"
    methods = ("GET", "HEAD")

    async def get(self, name: str) -> None:
        """Answer with the model ``name``, slashes and all."""
        self.model = name
        request = GetModelRequest(id=name)
        headers.forward(self.request, request)
        response = await self.facade.gateway.get_model(request, self.context())
        self.finish(render_model(response.model))

    head = get
