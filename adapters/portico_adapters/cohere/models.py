"""The models of GET /v1/models as OpenAI's. Pure."""

from typing import Final
from urllib.parse import quote

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.v1.models_pb2 import Model
from portico_adapters._reading import read

# What Portico asks of a model, in the API's words; others rerank or classify.
_ENDPOINTS: Final = frozenset({"chat", "embed"})

_NULL: Final = Raw(b"null")

_PAGE: Final = "/v1/models?page_size=1000"


class _Model(Struct):
    name: str | None = None
    endpoints: list[str] | None = None
    context_length: Raw = _NULL
    features: Raw = _NULL


class _Models(Struct):
    models: list[_Model]
    next_page_token: str | None = None


_MODELS: Final = Decoder(_Models)


def page_path(token: str | None) -> str:
    """Return where a page of the list is. None: the first."""
    return f"{_PAGE}&page_token={quote(token, safe='')}" if token else _PAGE


def models_of(body: bytes) -> tuple[list[Model], str | None]:
    """Read a page: the models that chat or embed, and what the next page is asked for with."""
    told = read(body, _MODELS)
    models = [
        Model(id=model.name, object="model", owned_by="cohere", extra_json=_extra(model))
        for model in told.models
        if model.name and (not model.endpoints or not _ENDPOINTS.isdisjoint(model.endpoints))
    ]
    return models, told.next_page_token or None


def _extra(model: _Model) -> str:
    extra = {"context_length": model.context_length, "features": model.features}
    kept = {name: raw for name, raw in extra.items() if bytes(raw) != b"null"}
    return encode(kept).decode() if kept else ""
