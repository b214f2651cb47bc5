"""The route table, and what becomes of a request between its connection and its handler."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, invalid_request
from portico.gateway import Gateway
from portico_facade.chat import ChatCompletions
from portico_facade.completions import Completions
from portico_facade.config import Settings
from portico_facade.conversation import Conversation
from portico_facade.embeddings import Embeddings
from portico_facade.handler import Handler
from portico_facade.health import Health, Livez, Readyz
from portico_facade.models import Model, Models
from portico_facade.scrape import Scrape
from portico_facade.state import Facade

_HANDLERS: Final = (ChatCompletions, Completions, Embeddings, Models, Health, Livez, Readyz, Scrape)
_ROUTES: Final[Mapping[str, type[Handler]]] = {
    **{handler.route: handler for handler in _HANDLERS},
    f"{Models.route}/": Models,
}

_OF_A_MODEL: Final = Model.route.removesuffix("{id}")

_WHERE: Final = (
    "Portico serves POST /v1/chat/completions, /v1/completions and /v1/embeddings, GET /v1/models,"
    " GET /v1/models/{model} and GET /health; an SDK's base_url ends in /v1."
)


class UnknownPath(Handler):
    """Everything else: 404, whatever the method; 204 to a preflight, so that a page can read the 404."""

    methods = ()

    async def run(self) -> None:
        """Refuse."""
        if self.upload.refused is None and self.request.method != "OPTIONS":
            message = f"Unknown request URL: {self.request.method} {self.request.path[:200]}. {_WHERE}"
            self.upload.refused = GatewayError(
                ErrorClass.CALLER, 404, message, INVALID_REQUEST, "unknown_url"
            )
        await super().run()


class FacadeApplication:
    """Makes a handler for each request, once its body is whole or refused."""

    def __init__(self, facade: Facade) -> None:
        self.facade = facade

    def handle(self, conversation: Conversation) -> None:
        """Have the request under way answered."""
        path = conversation.upload.request.path
        found, args = _ROUTES.get(path), tuple[str, ...]()
        if found is None and len(path) > len(_OF_A_MODEL) and path.startswith(_OF_A_MODEL):
            found = Model
            try:
                # Some send it as it is (curl), and headers are read as Latin-1.
                args = (unquote_to_bytes(path.removeprefix(_OF_A_MODEL).encode("latin-1")).decode(),)
            except UnicodeDecodeError:
                conversation.upload.refused = invalid_request(
                    "The request's path is not UTF-8, percent-encoded."
                )
        handler = (found or UnknownPath)(conversation, args)
        # Who keeps the task alive: facade, conversation, handler.
        handler.task = asyncio.get_running_loop().create_task(handler.run())


def make_app(gateway: Gateway, settings: Settings) -> FacadeApplication:
    """Return the application in front of a gateway."""
    return FacadeApplication(Facade(gateway, settings))
