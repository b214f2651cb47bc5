"""The route table."""

import re
from typing import Any, Final

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError
from portico.gateway import Gateway
from portico_facade.chat import ChatCompletions
from portico_facade.completions import Completions
from portico_facade.config import Settings
from portico_facade.embeddings import Embeddings
from portico_facade.handler import Handler, log_access
from portico_facade.health import Health, Livez, Readyz
from portico_facade.models import Model, Models
from portico_facade.scrape import Scrape
from portico_facade.state import Facade
from portico_facade.upload import Upload

_ROUTES: Final[list[tuple[str, type[Handler]]]] = [
    (r"/v1/chat/completions", ChatCompletions),
    (r"/v1/completions", Completions),
    (r"/v1/embeddings", Embeddings),
    (r"/v1/models/?", Models),
    (r"/v1/models/(.+)", Model),
    (r"/health", Health),
    (r"/livez", Livez),
    (r"/readyz", Readyz),
    (r"/metrics", Scrape),
]

#: Endpoints by the names that metrics know them under: `/v1/models/{id}`.
_NAMES: Final[dict[type[Handler], str]] = {
    handler: pattern.removesuffix("/?").replace("(.+)", "{id}") for pattern, handler in _ROUTES
}

_WHERE: Final = (
    "Portico serves POST /v1/chat/completions, /v1/completions and /v1/embeddings, GET /v1/models,"
    " GET /v1/models/{model} and GET /health; an SDK's base_url ends in /v1."
)


#: Scheme and authority of a target, which may have no path.
_ABSOLUTE: Final = re.compile(r"https?://[^/]+", re.IGNORECASE)


class UnknownPath(Handler):
    """Everything else."""

    methods = ()

    def prepare(self) -> None:
        """Answer 404, whatever the method; 204 to a preflight, so that a page can read the 404."""
        super().prepare()
        if self.request.method != "OPTIONS":
            message = f"Unknown request URL: {self.request.method} {self.request.path[:200]}. {_WHERE}"
            raise GatewayError(ErrorClass.CALLER, 404, message, INVALID_REQUEST, "unknown_url")


class FacadeApplication(Application):
    """Tornado's application with ``Upload`` before every handler."""

    def __init__(self, facade: Facade) -> None:
        super().__init__(
            _ROUTES,
            default_handler_class=UnknownPath,
            log_function=log_access,
            facade=facade,
            route_names=_NAMES,
        )
        self.facade = facade

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return what serves a request, whichever form its target has."""
        if not request.path.startswith("/"):
            request.path = _path_of(request.path)
        return super().find_handler(request, **kwargs)

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:
        """Return what receives a request for a handler."""
        upload = Upload(self.facade, request)
        given = {**(target_kwargs or {}), "facade": self.facade, "upload": upload}
        upload.behind = super().get_handler_delegate(request, target_class, given, path_args, path_kwargs)
        return upload


def _path_of(target: str) -> str:
    """Return the path of a target in absolute form, as clients send it to proxies (RFC 9112, 3.2.2)."""
    found = _ABSOLUTE.match(target)
    return target[found.end() :] or "/" if found else target


def make_app(gateway: Gateway, settings: Settings) -> FacadeApplication:
    """Return the application in front of a gateway."""
    return FacadeApplication(Facade(gateway, settings))
